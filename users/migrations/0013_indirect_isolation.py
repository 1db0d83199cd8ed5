from django.db import migrations

from config.database.isolation import hide, isolate_through


class Migration(migrations.Migration):
    dependencies = [
        ("users", "0012_idna_2008"),
        ("otp_static", "0003_add_timestamps"),
        ("sessions", "0001_initial"),
    ]

    operations = [
        isolate_through("otp_static_statictoken", "device_id", "otp_static_staticdevice"),
        hide("django_session"),
    ]
