from django.db import migrations

from config.database.isolation import isolate, refer, validate_reference


class Migration(migrations.Migration):
    dependencies = [("notes", "0001_initial"), ("projects", "0001_initial")]

    operations = [
        isolate("notes_remark"),
        refer("notes_note", "project_id", "projects_project"),
        refer("notes_remark", "note_id", "notes_note", required=True),
        refer("notes_remark", "project_id", "projects_project"),
        refer("notes_remark", "source_id", "notes_note"),
        validate_reference("notes_note", "project_id"),
        validate_reference("notes_remark", "note_id"),
        validate_reference("notes_remark", "project_id"),
        validate_reference("notes_remark", "source_id"),
    ]
