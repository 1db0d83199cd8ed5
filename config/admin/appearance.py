"""The settings of unfold: titles, style sheets and the sidebar."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.urls import reverse, reverse_lazy


def _file(name: str) -> Callable[[HttpRequest], str]:
    def address(request: HttpRequest) -> str:
        from django.templatetags.static import static  # the settings are not there yet

        return static(f"config/{name}")

    return address


def _navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """What this member of the staff may see of each app."""
    from django.contrib import admin

    site: Any = admin.site
    dashboard = {"title": "Dashboard", "icon": "dashboard", "link": reverse("admin:index")}
    return [
        {"items": [dashboard]},
        *(
            {
                "title": app["name"],
                "separator": True,
                "items": [
                    {
                        "title": model["name"],
                        "icon": site.get_model_admin(model["model"]).icon,
                        "link": model["admin_url"],
                    }
                    for model in app["models"]
                    if model["admin_url"]
                ],
            }
            for app in site.get_app_list(request)
        ),
    ]


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Tickbase",
    "SITE_HEADER": "Tickbase",
    "SITE_SYMBOL": "task_alt",
    "SITE_URL": None,
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": _file("favicon.svg")}],
    "STYLES": [_file("admin.css")],
    "SCRIPTS": [_file("admin.js")],
    "ACCOUNT": {
        "navigation": [
            {"title": "Change password", "link": reverse_lazy("admin:password_change")},
            {"title": "Second factor", "link": reverse_lazy("second_factor:enrol")},
        ]
    },
    "SIDEBAR": {"navigation": _navigation},
}
