import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from config.database.isolation import hide, isolate

ASKING = "(SELECT NULLIF(current_setting('tickbase.user_id', true), '')::bigint)"
OWN = f"{ASKING} = actor_id OR {ASKING} = subject_id"  # not IN, which a dump would write so
NAMED = f"id IN (SELECT event_id FROM users_auditsubject WHERE user_id = {ASKING})"  # nosec B608: constants
# An account also sees the events that name it as one of several.
POLICY = "ALTER POLICY users_auditevent_own ON users_auditevent USING ({rule}) WITH CHECK ({rule})"
CASE = f"CASE {ASKING} WHEN 0 THEN true ELSE %s END"
# Events of earlier versions, which nothing but their details tells of.
NAME = """
INSERT INTO users_auditsubject (event_id, user_id)
SELECT id, named::bigint FROM users_auditevent, jsonb_array_elements_text(details -> 'users') AS named
WHERE action = 'staff.read_text' AND jsonb_typeof(details -> 'users') = 'array'
"""


class Migration(migrations.Migration):
    dependencies = [("users", "0019_email_change")]

    operations = [
        migrations.AlterModelOptions(
            name="user",
            options={"permissions": [("support_user", "Can confirm addresses, send mails and invite")]},
        ),
        migrations.CreateModel(
            name="AccountNote",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("text", models.TextField(max_length=4000)),
                ("created_at", models.DateTimeField()),
                (
                    "author",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="staff_notes",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={"default_permissions": ("add", "delete", "view")},
        ),
        hide("users_accountnote"),
        migrations.CreateModel(
            name="AuditSubject",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "event", "user", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "event",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        to="users.auditevent",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={"default_permissions": ()},
        ),
        isolate("users_auditsubject"),
        migrations.RunSQL(
            POLICY.format(rule=CASE % f"{OWN} OR {NAMED}"),
            POLICY.format(rule=CASE % OWN),
        ),
        migrations.RunSQL(NAME, migrations.RunSQL.noop),
    ]
