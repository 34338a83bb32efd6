/** Names, dates, ages and numbers as people read them. Pure: the language is an argument. */

// Controls, zero-width marks and bidirectional overrides have no place in a name; the <bdi> does the isolation.
const INVISIBLE = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g;

const LONGEST_TEXT = 256; // the longest short text of the Standard, PN, has 3 times 64 characters

/** A DICOM person name for reading: `NGUYỄN^VĂN ĐỨC` becomes `NGUYỄN VĂN ĐỨC` (PS3.5 6.2.1.1). */
export function formatPersonName(name) {
  return plain(name.replaceAll("^", " "));
}

/** Text of a device on one line: without invisible characters, spaces joined, not longer than anyone reads. */
export function plain(value) {
  const text = value.slice(0, 4 * LONGEST_TEXT).replace(/[\t\r\n]/g, " ").replace(INVISIBLE, "").replace(/ {2,}/g, " ").trim();
  return text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT)}…` : text;
}

/** Parts of a DICOM date: `20261120`, or the old `2026.11.20`; null where it is no date (PS3.5 6.2, DA). */
export function parseDate(value) {
  const match = /^(\d{4})\.?(\d{2})\.?(\d{2})$/.exec(value);
  if (!match) return null;
  const [year, month, day] = match.slice(1).map(Number);
  const date = new Date(year, month - 1, day);
  return date.getMonth() === month - 1 && date.getDate() === day ? { year, month, day } : null;
}

/** `20261120` as `20/11/2026`, in English as `20 Nov 2026`; what is no date stays as it came. */
export function formatDate(value, language) {
  const date = parseDate(value);
  if (date === null) return plain(value);
  if (language === "vi") return `${pad(date.day)}/${pad(date.month)}/${date.year}`;
  const format = new Intl.DateTimeFormat("en-GB", { day: "2-digit", month: "short", year: "numeric" });
  return format.format(new Date(date.year, date.month - 1, date.day));
}

/** `143205.12` as `14:32`; "" where it is no time (PS3.5 6.2, TM). */
export function formatTime(value) {
  const match = /^([01]\d|2[0-3]):?([0-5]\d)/.exec(value);
  return match ? `${match[1]}:${match[2]}` : "";
}

/**
 * Age on a day, in the unit a clinician would use: days in the first month, months up to three years, then
 * years. Null where a date is missing or the two contradict each other.
 */
export function ageOn(birthDate, onDate) {
  const birth = parseDate(birthDate);
  const on = parseDate(onDate);
  if (birth === null || on === null) return null;
  const days = Math.round((utc(on) - utc(birth)) / 86_400_000);
  const months = (on.year - birth.year) * 12 + on.month - birth.month - (on.day < birth.day ? 1 : 0);
  if (days < 0 || months > 12 * 150) return null;
  if (months < 1) return { n: days, unit: "days" };
  if (months < 36) return { n: months, unit: "months" };
  return { n: Math.floor(months / 12), unit: "years" };
}

/** A local day as DICOM writes it, `daysAgo` days before `now`. */
export function dicomDate(now, daysAgo = 0) {
  const day = new Date(now.getFullYear(), now.getMonth(), now.getDate() - daysAgo);
  return `${String(day.getFullYear()).padStart(4, "0")}${pad(day.getMonth() + 1)}${pad(day.getDate())}`;
}

/** A window value with as many digits as it deserves: integers as such, small ones with three digits. */
export function formatWindowValue(value) {
  return Math.abs(value) >= 100 || Number.isInteger(value) ? String(Math.round(value)) : String(Number(value.toPrecision(3)));
}

function utc({ year, month, day }) {
  return Date.UTC(year, month - 1, day);
}

function pad(value) {
  return String(value).padStart(2, "0");
}
