"""Where things can be: offices, journeys, mobile networks, rented servers; and the programs that people use. Data only.

Every address prefix here is public and belongs to the country it is listed for in the simulated world; the same rows
make the directory's geo table.
"""

from __future__ import annotations

from dataclasses import dataclass

HOUR_MS = 3_600_000
CHINA_OFFSET_MS = 8 * HOUR_MS


@dataclass(frozen=True, slots=True)
class City:
    """A place with an office or a hotel; `zone` without summer time where it is an office's."""

    name: str
    country: str
    latitude: float
    longitude: float
    zone: str = "Asia/Shanghai"
    offset_ms: int = CHINA_OFFSET_MS


HOME_CITIES = (
    City("Shanghai", "CN", 31.23, 121.47), City("Chengdu", "CN", 30.57, 104.07), City("Guangzhou", "CN", 23.13, 113.26),
    City("Harbin", "CN", 45.80, 126.53), City("Beijing", "CN", 39.90, 116.41), City("Wuhan", "CN", 30.59, 114.31),
    City("Xian", "CN", 34.34, 108.94), City("Urumqi", "CN", 43.83, 87.62), City("Shenzhen", "CN", 22.54, 114.06),
    City("Hefei", "CN", 31.82, 117.23),
)  # fmt: skip
FOREIGN_CITIES = (
    City("Singapore", "SG", 1.35, 103.82, "Asia/Singapore", 8 * HOUR_MS),
    City("Tokyo", "JP", 35.68, 139.69, "Asia/Tokyo", 9 * HOUR_MS),
    City("Manila", "PH", 14.60, 120.98, "Asia/Manila", 8 * HOUR_MS),
    City("Bangkok", "TH", 13.76, 100.50, "Asia/Bangkok", 7 * HOUR_MS),
    City("Bengaluru", "IN", 12.97, 77.59, "Asia/Kolkata", 5 * HOUR_MS + HOUR_MS // 2),
    City("Dubai", "AE", 25.20, 55.27, "Asia/Dubai", 4 * HOUR_MS),
)


@dataclass(frozen=True, slots=True)
class Range:
    """A /16 of public addresses somewhere."""

    prefix: str
    country: str
    city: str
    latitude: float
    longitude: float


HOTELS_AT_HOME = tuple(
    Range(f"58.{20 + number}", one.country, one.name, one.latitude, one.longitude)
    for number, one in enumerate(HOME_CITIES)
)
MOBILE = tuple(
    Range(f"223.{104 + number}", one.country, one.name, one.latitude, one.longitude)
    for number, one in enumerate(HOME_CITIES)
)
ABROAD = (
    Range("175.41", "SG", "Singapore", 1.35, 103.82), Range("126.10", "JP", "Tokyo", 35.68, 139.69),
    Range("171.96", "TH", "Bangkok", 13.76, 100.50), Range("91.10", "DE", "Frankfurt", 50.11, 8.68),
    Range("145.14", "NL", "Amsterdam", 52.37, 4.90), Range("73.15", "US", "San Jose", 37.34, -121.89),
    Range("81.100", "GB", "London", 51.51, -0.13), Range("101.160", "AU", "Sydney", -33.87, 151.21),
    Range("94.200", "AE", "Dubai", 25.20, 55.27), Range("119.236", "HK", "Hong Kong", 22.32, 114.17),
)  # fmt: skip
RENTED_SERVERS = (
    Range("185.220", "NL", "Amsterdam", 52.37, 4.90), Range("45.155", "RU", "Moscow", 55.76, 37.62),
    Range("104.238", "US", "Los Angeles", 34.05, -118.24), Range("139.59", "SG", "Singapore", 1.35, 103.82),
    Range("120.78", "CN", "Shenzhen", 22.54, 114.06), Range("121.40", "CN", "Shanghai", 31.23, 121.47),
)  # fmt: skip
HOMES = tuple(
    Range(f"112.{16 + 8 * number}", one.country, one.name, one.latitude, one.longitude)
    for number, one in enumerate(HOME_CITIES)
)
FOREIGN_HOMES = tuple(
    Range(f"180.{16 + 8 * number}", one.country, one.name, one.latitude, one.longitude)
    for number, one in enumerate(FOREIGN_CITIES)
)
RANGES = (*HOTELS_AT_HOME, *MOBILE, *ABROAD, *RENTED_SERVERS, *HOMES, *FOREIGN_HOMES)

BROWSERS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Edg/140.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_6) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1",
    "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0 Safari/537.36",
)
PHONES = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148",
    "Mozilla/5.0 (Linux; Android 16; Pixel 9) AppleWebKit/537.36 Chrome/141.0 Mobile Safari/537.36",
)
CLIENTS = ("okhttp/4.12.0", "Java-http-client/21.0.4", "Go-http-client/2.0", "python-requests/2.32.3", "axios/1.7.9")
HAND_TOOLS = ("curl/8.9.1", "PostmanRuntime/7.43.0", "python-requests/2.31.0", "DBeaver 25.1", "HeidiSQL 12.10")
SQL_CLIENTS = ("DBeaver 25.1", "DataGrip 2026.1", "psql 17", "Navicat 17")
SURNAMES = (
    "zhang", "li", "wang", "chen", "liu", "yang", "zhao", "wu", "zhou", "xu", "sun", "ma", "zhu", "hu", "guo", "tan",
    "lin", "he", "gao", "luo",
)  # fmt: skip
GIVEN_NAMES = (
    "wei", "na", "min", "jing", "lei", "yan", "tao", "fang", "qiang", "hui", "bo", "xin", "yu", "jun", "ping", "rui",
    "hao", "ting", "kai", "mei",
)  # fmt: skip
