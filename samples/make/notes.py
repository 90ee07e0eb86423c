"""notes: letters of north's doctors, written from each patient's history and full of what identifies them."""

from datetime import date

from .dirt_north import NOBODY
from .files import Json, number_of
from .north import medical_record_number
from .places import SEED
from .planted import Planted

Texts = dict[str, bytes]
DOCTORS = ["Beatrice Okonkwo", "Samuel Feldstein", "Ingrid Halvorsen", "Rajiv Menon", "Theresa McAllister"]
RELATIVES = ["mother had type 2 diabetes", "father died of a heart attack", "sister has asthma"]
ABSENT = ["pneumonia", "pulmonary embolism", "deep vein thrombosis", "malignancy", "fracture"]

DISCHARGE = """NORTH HOSPITAL
Department of Medicine

DISCHARGE SUMMARY

Patient: {full_name}
MRN: {mrn}
Date of birth: {born_us}
Address: {address}
Phone: {phone}
Admitted: {day_us}    Discharged: {day_us}
Attending physician: Dr. {doctor}

HISTORY
{title} {family} is a {age}-year-old {person} who was brought to our clinic on {day_long}. {Subject} is known
to have {conditions}. {Possessive} {relative}.

FINDINGS
Blood pressure and temperature were recorded by the nurse. There was no evidence of {absent}.

MEDICATION ON DISCHARGE
{drugs}

PLAN
{given} will be seen again in six weeks. The patient may call us at 617-555-0142; we reach {object} at {phone}
or at home, {address}.

Signed: {doctor}, MD, {day_us}
"""

LETTER = """{doctor}, MD
North Hospital, 40 Beacon Hill Road, Boston, MA 02108
{doctor_mail}

{day_long}

Re: {full_name}, born {born_long}, record number {mrn}

Dear colleague,

Thank you for sending {title} {family}, whom I saw on {day_us}. The problems on {possessive} list are
{conditions}. {Subject} takes {drugs_inline}. We ruled out {absent}. I note that {possessive} {relative}.

{given} lives at {address}
and prefers to be called on {phone}. I shall see {object} again before the end of the year.

With kind regards,
{doctor}
"""

TELEPHONE = """TELEPHONE NOTE {day_us}
Caller: {given} {family} (DOB {born_us}, MRN {mrn}), calling from {phone}
Question about {drugs_inline}. Denies chest pain and shortness of breath. Known problems: {conditions}.
Advised to keep the appointment; letter sent to {address}. /{doctor}
"""

FORMS = [("discharge-summary", DISCHARGE), ("clinic-letter", LETTER), ("telephone-note", TELEPHONE)]


def texts(north: dict[str, list[Json]], count: int) -> Texts:
    """`count` notes by file name, each about one patient's visit; all UTF-8."""
    about = _histories(north)
    writable = [row for row in north["Patient"] if _last_visit(about, row) is not None]
    chosen = sorted(writable, key=lambda row: number_of(SEED, "note", row["id"]))[:count]
    made: Texts = {}
    for patient in chosen:
        title, form = FORMS[number_of(SEED, "form", patient["id"]) % len(FORMS)]
        words = _words(patient, about)
        made[f"{patient['id']}_{words['day']}_{title}.txt"] = form.format(**words).encode()
    return made


def plant(made: Texts, planted: Planted) -> None:
    """Faults among the notes, and one letter in Windows-1252."""
    name = min(name for name, text in made.items() if not text.decode().isascii())
    typed = (
        made[name]
        .decode()
        .replace("HISTORY", "HISTORY \u2013 \u201cas told\u201d")
        .replace("Dear", "\u2013 Dear")
    )
    made[name] = typed.encode("cp1252")
    planted.add("T01", f"notes/notes/{name}", person=name.split("_")[0], needle=name)
    somebody = min(made).split("_")[0]
    faults = {
        "T02": ("letter.txt", b"Nobody knows whom this is about.\n"),
        "T03": (f"{somebody}_20240110_empty.txt", b""),
        "T04": (f"{NOBODY}_20240110_letter.txt", b"PLANT-T04: a letter about somebody unknown.\n"),
        "T05": (f"{somebody}_20200230_letter.txt", b"PLANT-T05: a letter of no day.\n"),
        "T06": (f"{somebody}_20240111_scan.txt", b"PLANT-T06\x00\x01\x02"),
        "T07": (f"{somebody}_20990101_letter.txt", b"PLANT-T07: a letter from the future.\n"),
    }
    for plant_id, (file, content) in faults.items():
        made[file] = content
        planted.add(plant_id, f"notes/notes/{file}", needle=file)


def _histories(north: dict[str, list[Json]]) -> dict[str, dict[str, list[Json]]]:
    about: dict[str, dict[str, list[Json]]] = {}
    for kind in ("Encounter", "Condition", "MedicationRequest"):
        for row in north.get(kind, []):
            key = row["subject"]["reference"].removeprefix("Patient/")
            about.setdefault(key, {}).setdefault(kind, []).append(row)
    return about


def _last_visit(about: dict[str, dict[str, list[Json]]], patient: Json) -> date | None:
    visits = [row["period"]["start"][:10] for row in about.get(patient["id"], {}).get("Encounter", [])]
    return date.fromisoformat(max(visits)) if visits else None


def _words(patient: Json, about: dict[str, dict[str, list[Json]]]) -> dict[str, object]:
    name = next(row for row in patient["name"] if row["use"] == "official")
    day, born = _last_visit(about, patient), date.fromisoformat(patient["birthDate"])
    assert day is not None
    address = patient["address"][0]
    zip_code = address.get("postalCode", "").replace("00000", "")  # Synthea's word for not known
    history = about[patient["id"]]
    drugs = _drugs(history.get("MedicationRequest", []))
    chance = number_of(SEED, "words", patient["id"])
    doctor = DOCTORS[chance % len(DOCTORS)]
    is_woman = patient["gender"] == "female"
    return {
        "full_name": " ".join([*name["given"], name["family"]]),
        "given": name["given"][0],
        "family": name["family"],
        "title": (name.get("prefix") or ["Ms." if is_woman else "Mr."])[0],
        "mrn": medical_record_number(patient["id"]),
        "born_us": f"{born:%m/%d/%Y}",
        "born_long": f"{born:%B} {born.day}, {born.year}",
        "day": f"{day:%Y%m%d}",
        "day_us": f"{day:%m/%d/%Y}",
        "day_long": f"{day:%B} {day.day}, {day.year}",
        "age": day.year - born.year - ((day.month, day.day) < (born.month, born.day)),
        "address": f"{address['line'][0]}, {address['city']}, MA {zip_code}".strip(),
        "phone": patient["telecom"][0]["value"],
        "doctor": doctor,
        "doctor_mail": f"{doctor.lower().replace(' ', '.')}@north-hospital.example",
        "person": "woman" if is_woman else "man",
        "Subject": "She" if is_woman else "He",
        "object": "her" if is_woman else "him",
        "possessive": "her" if is_woman else "his",
        "Possessive": "Her" if is_woman else "His",
        "relative": RELATIVES[chance // 7 % len(RELATIVES)],
        "absent": ABSENT[chance // 31 % len(ABSENT)],
        "conditions": _listed(_problems(history.get("Condition", []))) or "no chronic illness",
        "drugs": "\n".join(f"- {drug}" for drug in drugs) or "- none",
        "drugs_inline": _listed(drugs) or "no regular medication",
    }


def _problems(conditions: list[Json]) -> list[str]:
    names = [row["code"]["text"] for row in conditions if row["code"]["text"].endswith("(disorder)")]
    return sorted({name.removesuffix(" (disorder)").lower() for name in names})[:4]


def _drugs(requests: list[Json]) -> list[str]:
    texts_of = [
        row["medicationCodeableConcept"]["text"] for row in requests if "medicationCodeableConcept" in row
    ]
    return sorted(set(texts_of))[:4]


def _listed(items: list[str]) -> str:
    return ", ".join(items[:-1]) + " and " + items[-1] if len(items) > 1 else "".join(items)
