from django.db import migrations

from config.database.isolation import isolate


class Migration(migrations.Migration):
    dependencies = [("notes", "0001_initial")]

    operations = [isolate("notes_note")]
