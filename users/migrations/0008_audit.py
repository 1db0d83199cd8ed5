import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

# The actor and the subject may see an event; see config.database.isolation.isolate, whose form this has.
ASKING = "(SELECT NULLIF(current_setting('tickbase.user_id', true), '')::bigint)"
RULE = f"CASE {ASKING} WHEN 0 THEN true ELSE {ASKING} IN (actor_id, subject_id) END"
ISOLATE = (
    "ALTER TABLE users_auditevent ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;"
    f"CREATE POLICY users_auditevent_own ON users_auditevent USING ({RULE}) WITH CHECK ({RULE});"
)

# The service owns its tables: it has given up these rights, and could take them back. Hence the trigger, which also
# holds for those who have them.
REVOKE = "REVOKE UPDATE, DELETE, TRUNCATE ON users_auditevent FROM CURRENT_USER;"
REFUSE = """
CREATE FUNCTION users_auditevent_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('tickbase.prunes_audit', true) = 'on' THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION 'users_auditevent is append-only; only manage.py prune_audit deletes from it'
        USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE TRIGGER users_auditevent_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON users_auditevent
    FOR EACH STATEMENT EXECUTE FUNCTION users_auditevent_refuse();
"""


class Migration(migrations.Migration):
    dependencies = [("users", "0007_isolation")]

    operations = [
        # With the table, which its trigger depends on.
        migrations.RunSQL(migrations.RunSQL.noop, "DROP FUNCTION users_auditevent_refuse()"),
        migrations.CreateModel(
            name="AuditEvent",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.DateTimeField(db_index=True)),
                ("action", models.CharField(max_length=40)),
                ("actor_email", models.TextField(blank=True, default="", verbose_name="actor")),
                ("subject_email", models.TextField(blank=True, default="", verbose_name="subject")),
                ("object_type", models.CharField(blank=True, default="", max_length=60)),
                ("object_id", models.TextField(blank=True, default="")),
                ("address", models.GenericIPAddressField(blank=True, null=True)),
                ("request_id", models.TextField(blank=True, default="")),
                ("details", models.JSONField(blank=True, default=dict)),
                (
                    "actor",
                    models.ForeignKey(
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "subject",
                    models.ForeignKey(
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["object_type", "object_id"], name="users_auditevent_object")],
            },
        ),
        migrations.RunSQL(ISOLATE, migrations.RunSQL.noop),
        migrations.RunSQL(REFUSE + REVOKE, migrations.RunSQL.noop),
    ]
