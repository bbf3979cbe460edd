"""Names of time zones that TWS writes behind times, and messages with those that a client library cannot read.

TWS takes the name from the machine it runs on: an IANA name, a name of Windows, or an abbreviation. The libraries read
IANA names alone, and lose the whole message with any other: an execution would never be heard.

Source:
    Unicode CLDR, "windowsZones.xml"; abbreviations as Java writes them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache
from zoneinfo import ZoneInfo

_TIME = re.compile(r"(\d{8})[ -](\d\d:\d\d:\d\d) +(\S.*)")
_OFFSET = re.compile(r"(?:GMT|UTC)([+-]\d\d?)(?::?00)?")

WINDOWS = {
    "AUS Central Standard Time": "Australia/Darwin",
    "AUS Eastern Standard Time": "Australia/Sydney",
    "Alaskan Standard Time": "America/Anchorage",
    "Arab Standard Time": "Asia/Riyadh",
    "Arabian Standard Time": "Asia/Dubai",
    "Arabic Standard Time": "Asia/Baghdad",
    "Argentina Standard Time": "America/Buenos_Aires",
    "Atlantic Standard Time": "America/Halifax",
    "Azores Standard Time": "Atlantic/Azores",
    "Bangladesh Standard Time": "Asia/Dhaka",
    "Belarus Standard Time": "Europe/Minsk",
    "Canada Central Standard Time": "America/Regina",
    "Cape Verde Standard Time": "Atlantic/Cape_Verde",
    "Caucasus Standard Time": "Asia/Yerevan",
    "Cen. Australia Standard Time": "Australia/Adelaide",
    "Central America Standard Time": "America/Guatemala",
    "Central Asia Standard Time": "Asia/Almaty",
    "Central Brazilian Standard Time": "America/Cuiaba",
    "Central Europe Standard Time": "Europe/Budapest",
    "Central European Standard Time": "Europe/Warsaw",
    "Central Pacific Standard Time": "Pacific/Guadalcanal",
    "Central Standard Time": "America/Chicago",
    "Central Standard Time (Mexico)": "America/Mexico_City",
    "China Standard Time": "Asia/Shanghai",
    "E. Africa Standard Time": "Africa/Nairobi",
    "E. Australia Standard Time": "Australia/Brisbane",
    "E. Europe Standard Time": "Europe/Chisinau",
    "E. South America Standard Time": "America/Sao_Paulo",
    "Eastern Standard Time": "America/New_York",
    "Eastern Standard Time (Mexico)": "America/Cancun",
    "Egypt Standard Time": "Africa/Cairo",
    "FLE Standard Time": "Europe/Kiev",
    "Fiji Standard Time": "Pacific/Fiji",
    "GMT Standard Time": "Europe/London",
    "GTB Standard Time": "Europe/Bucharest",
    "Georgian Standard Time": "Asia/Tbilisi",
    "Greenland Standard Time": "America/Godthab",
    "Greenwich Standard Time": "Atlantic/Reykjavik",
    "Hawaiian Standard Time": "Pacific/Honolulu",
    "India Standard Time": "Asia/Kolkata",
    "Iran Standard Time": "Asia/Tehran",
    "Israel Standard Time": "Asia/Jerusalem",
    "Jordan Standard Time": "Asia/Amman",
    "Kaliningrad Standard Time": "Europe/Kaliningrad",
    "Korea Standard Time": "Asia/Seoul",
    "Mauritius Standard Time": "Indian/Mauritius",
    "Middle East Standard Time": "Asia/Beirut",
    "Montevideo Standard Time": "America/Montevideo",
    "Morocco Standard Time": "Africa/Casablanca",
    "Mountain Standard Time": "America/Denver",
    "Mountain Standard Time (Mexico)": "America/Mazatlan",
    "Myanmar Standard Time": "Asia/Rangoon",
    "Namibia Standard Time": "Africa/Windhoek",
    "Nepal Standard Time": "Asia/Kathmandu",
    "New Zealand Standard Time": "Pacific/Auckland",
    "Newfoundland Standard Time": "America/St_Johns",
    "Pacific SA Standard Time": "America/Santiago",
    "Pacific Standard Time": "America/Los_Angeles",
    "Pacific Standard Time (Mexico)": "America/Tijuana",
    "Pakistan Standard Time": "Asia/Karachi",
    "Paraguay Standard Time": "America/Asuncion",
    "Romance Standard Time": "Europe/Paris",
    "Russian Standard Time": "Europe/Moscow",
    "SA Eastern Standard Time": "America/Cayenne",
    "SA Pacific Standard Time": "America/Bogota",
    "SA Western Standard Time": "America/La_Paz",
    "SE Asia Standard Time": "Asia/Bangkok",
    "Singapore Standard Time": "Asia/Singapore",
    "South Africa Standard Time": "Africa/Johannesburg",
    "Sri Lanka Standard Time": "Asia/Colombo",
    "Syria Standard Time": "Asia/Damascus",
    "Taipei Standard Time": "Asia/Taipei",
    "Tasmania Standard Time": "Australia/Hobart",
    "Tokyo Standard Time": "Asia/Tokyo",
    "Turkey Standard Time": "Europe/Istanbul",
    "US Eastern Standard Time": "America/Indiana/Indianapolis",
    "US Mountain Standard Time": "America/Phoenix",
    "Ulaanbaatar Standard Time": "Asia/Ulaanbaatar",
    "Venezuela Standard Time": "America/Caracas",
    "W. Australia Standard Time": "Australia/Perth",
    "W. Central Africa Standard Time": "Africa/Lagos",
    "W. Europe Standard Time": "Europe/Berlin",
    "West Asia Standard Time": "Asia/Tashkent",
    "West Pacific Standard Time": "Pacific/Port_Moresby",
}

ABBREVIATIONS = {
    "ACST": "Australia/Darwin",
    "AEDT": "Etc/GMT-11",
    "AEST": "Etc/GMT-10",
    "AKDT": "Etc/GMT+8",
    "AKST": "Etc/GMT+9",
    "ADT": "Etc/GMT+3",
    "AST": "Etc/GMT+4",
    "AWST": "Etc/GMT-8",
    "BRT": "America/Sao_Paulo",
    "BST": "Etc/GMT-1",
    "CDT": "Etc/GMT+5",
    "CEST": "Etc/GMT-2",
    "CST": "Etc/GMT+6",
    "EDT": "Etc/GMT+4",
    "EEST": "Etc/GMT-3",
    "EST": "Etc/GMT+5",
    "GST": "Asia/Dubai",
    "HKT": "Asia/Hong_Kong",
    "IDT": "Etc/GMT-3",
    "IST": "Asia/Kolkata",
    "JST": "Asia/Tokyo",
    "KST": "Asia/Seoul",
    "MDT": "Etc/GMT+6",
    "MESZ": "Etc/GMT-2",
    "MEST": "Etc/GMT-2",
    "MET": "Europe/Brussels",
    "MEZ": "Europe/Berlin",
    "MSK": "Europe/Moscow",
    "MST": "Etc/GMT+7",
    "NZDT": "Etc/GMT-13",
    "NZST": "Etc/GMT-12",
    "PDT": "Etc/GMT+7",
    "PST": "Etc/GMT+8",
    "SAST": "Africa/Johannesburg",
    "SGT": "Asia/Singapore",
    "WEST": "Etc/GMT-1",
    "WIB": "Asia/Jakarta",
    "Z": "Etc/UTC",
}
"""One abbreviation can mean several zones; of those it is the one where most accounts of Interactive Brokers are."""


@cache
def zone_of(name: str) -> ZoneInfo | None:
    """Return the time zone that TWS calls *name*; None when nobody knows it.

    >>> zone_of("China Standard Time"), zone_of("JST"), zone_of("Moon Standard Time")
    (zoneinfo.ZoneInfo(key='Asia/Shanghai'), zoneinfo.ZoneInfo(key='Asia/Tokyo'), None)
    """
    name = name.strip()
    offset = _OFFSET.fullmatch(name)
    if offset is not None:
        name = f"Etc/GMT{-int(offset.group(1)):+d}"
    return _iana(name) or _iana(WINDOWS.get(name) or ABBREVIATIONS.get(name.upper(), ""))


@cache
def _iana(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, empty or malformed, or the name of a folder
        return None


class ReadableTimes:
    """Puts times whose zone no library can read into UTC, before a library decodes the message."""

    def __init__(self) -> None:
        """Know of no trouble yet."""
        self.unknown = ""
        """The last zone that nobody knows: messages with it are lost."""

    def install(self, decoder: object) -> None:
        """Let *decoder*, of either library, read messages whatever the zone of TWS."""
        decode: Callable[[list[str]], None] = decoder.interpret  # type: ignore[attr-defined]

        def interpret(fields: Sequence[str]) -> None:
            decode([self.readable(field) for field in fields])

        decoder.interpret = interpret  # type: ignore[attr-defined]

    def readable(self, field: str) -> str:
        """Return *field*; a time whose zone the libraries cannot read in UTC.

        >>> times = ReadableTimes()
        >>> times.readable("20260302 23:00:00 China Standard Time"), times.readable("20260302 10:00:00 US/Eastern")
        ('20260302 15:00:00 UTC', '20260302 10:00:00 US/Eastern')
        """
        found = _TIME.fullmatch(field)
        if found is None or _iana(found.group(3)) is not None:
            return field
        zone = zone_of(found.group(3))
        if zone is None:
            self.unknown = found.group(3)
            return field
        at = datetime.strptime(f"{found.group(1)} {found.group(2)}", "%Y%m%d %H:%M:%S").replace(tzinfo=zone)
        return f"{at.astimezone(UTC):%Y%m%d %H:%M:%S} UTC"
