"""Names of months, weekdays, halves of the day and time zones, as PCs of several languages write them.

English, German, French, Spanish, Italian, Portuguese and Dutch, as in the Unicode Common Locale Data Repository; with
and without accents. No name stands for two months in two of these languages.
"""

from __future__ import annotations

from collections.abc import Mapping

_MONTHS = (
    "january jan januar jänner jän janvier janv enero ene gennaio gen janeiro januari",
    "february feb februar feber février fevrier févr fevr fév febrero febbraio febb fevereiro fev februari",
    "march mar märz marz mär mrz mars marzo março marco maart mrt",
    "april apr avril avr abril abr aprile",
    "may mai mayo maggio mag maio mei",
    "june jun juni juin junio giugno giu junho",
    "july jul juli juillet juil julio luglio lug julho",
    "august aug août aout agosto ago ag augustus",
    "september sep sept septembre septiembre settembre set setembro",
    "october oct oktober okt octobre octubre ottobre ott outubro out",
    "november nov novembre noviembre novembro",
    "december dec dezember dez décembre decembre déc diciembre dic dicembre dezembro",
)
MONTHS: Mapping[str, int] = {name: at for at, names in enumerate(_MONTHS, 1) for name in names.split()}
"""Number of each month by its name in small letters."""
WEEKDAYS = frozenset(
    " ".join(
        (
            "monday tuesday wednesday thursday friday saturday sunday mon tue tues wed thu thur thurs fri sat sun",
            "montag dienstag mittwoch donnerstag freitag samstag sonnabend sonntag mo di mi do fr sa so",
            "lundi mardi mercredi jeudi vendredi samedi dimanche lun mer jeu ven sam dim",
            "lunes martes miércoles miercoles jueves viernes sábado sabado domingo lu ju vi sá",
            "lunedì lunedi martedì martedi mercoledì mercoledi giovedì giovedi venerdì venerdi gio dom",
            "segunda terça terca quarta quinta sexta feira",
            "maandag dinsdag woensdag donderdag vrijdag zaterdag zondag",
            "st nd rd th de del den le el the of um at à",
        )
    ).split()
)
"""Names of weekdays and small words beside a day, which say nothing more about it."""
HALVES: Mapping[str, bool] = {
    **dict.fromkeys(("am", "a.m.", "a.m", "vorm.", "上午", "午前", "오전", "πμ", "π.μ."), False),
    **dict.fromkeys(("pm", "p.m.", "p.m", "nachm.", "下午", "午後", "오후", "μμ", "μ.μ."), True),
}
"""Whether it is the afternoon."""
ZONES: Mapping[str, int] = {
    **dict.fromkeys(("Z", "UTC", "GMT", "UT", "WET"), 0),
    **dict.fromkeys(("CET", "MEZ", "WEST"), 60),
    **dict.fromkeys(("CEST", "MESZ", "EET"), 120),
    "EEST": 180,
    "EDT": -240,
    "MDT": -360,
    "PDT": -420,
    "AKST": -540,
    "HST": -600,
    "JST": 540,
    "KST": 540,
    "AEST": 600,
    "AEDT": 660,
}
"""Minutes east of Greenwich by abbreviation: those that stand for one zone only (not CST, IST, BST, EST, PST)."""
