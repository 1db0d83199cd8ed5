"""How the admin writes dates and times: as the API does, short and the same everywhere."""

DATE_FORMAT = "Y-m-d"
DATETIME_FORMAT = "Y-m-d H:i:s"
