from django.db import migrations

from config.database.isolation import isolate


class Migration(migrations.Migration):
    dependencies = [
        ("users", "0009_admin_log"),
        ("otp_totp", "0003_add_timestamps"),
        ("otp_static", "0003_add_timestamps"),
    ]

    operations = [isolate("otp_totp_totpdevice"), isolate("otp_static_staticdevice")]
