from django.db import migrations

from config.database.isolation import isolate


class Migration(migrations.Migration):
    dependencies = [("notes", "0003_about")]

    operations = [isolate("notes_note")]
