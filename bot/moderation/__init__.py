"""What a server's moderators and managers do: settings, rules, bans, reports and where a picture comes from."""

from .commands import add_moderate
from .decisions import CardButton
from .report_poster import ReportPoster
from .reports import add_report, open_report_form, submit_report_form
from .rules import add_rules
from .settings import add_settings
from .settings_panel import SettingMenu, submit_setting
from .unknown_servers import leave_unknown_server
from .verify import add_verify

__all__ = [
    "CardButton", "ReportPoster", "SettingMenu", "add_moderate", "add_report", "add_rules", "add_settings",
    "add_verify", "leave_unknown_server", "open_report_form", "submit_report_form", "submit_setting",
]  # fmt: skip
