/** Sizes of values and texts, and the limit of a value. */

/** The limit of a value: the UTF-8 length of its stored text, where texts count without quotes and bytes as bytes. */
export const maxValueBytes = 16 * 1024 * 1024;

/** A count with thousands separated. */
export function group(count: number): string {
  return String(count).replaceAll(/\B(?=(\d{3})+$)/g, ",");
}

/** The bytes of well-formed text in UTF-8. */
export function utf8Length(text: string): number {
  let bytes = text.length;
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    if (unit < 0x80) continue;
    // A surrogate pair has four bytes: each half counts two.
    bytes += unit < 0x800 || (unit >= 0xd800 && unit <= 0xdfff) ? 1 : 2;
  }
  return bytes;
}

/** The text, or as much of it as that many UTF-16 units, and `…`. */
export function shortened(text: string, units: number): string {
  return text.length > units ? `${text.slice(0, units)}…` : text;
}

/** Whether the text has more characters than that; a surrogate pair counts as one. */
export function isLonger(text: string, characters: number): boolean {
  // The length in units is never below that in characters.
  if (text.length <= characters) return false;
  return text.length > 2 * characters || [...text].length > characters;
}
