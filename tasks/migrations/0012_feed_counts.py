from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tasks", "0011_fold_anew")]

    operations = [
        migrations.AddField("feed", "live", models.IntegerField(db_default=0, default=0)),
        migrations.AddField("feed", "stored", models.IntegerField(db_default=0, default=0)),
    ]
