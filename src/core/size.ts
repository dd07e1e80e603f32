/** How large a value is, and may be. */

/** The UTF-8 length of the stored text, bytes counted as bytes and not as their base64. */
export const maxValueBytes = 16 * 1024 * 1024;

/** A count with its thousands apart. */
export function group(count: number): string {
  return String(count).replaceAll(/\B(?=(\d{3})+$)/g, ",");
}

/** The bytes of well-formed text in UTF-8. */
export function utf8Length(text: string): number {
  let bytes = text.length;
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    if (unit < 0x80) continue;
    // Each half of a surrogate pair is two of its four bytes.
    bytes += unit < 0x800 || (unit >= 0xd800 && unit <= 0xdfff) ? 1 : 2;
  }
  return bytes;
}

/** Whether the text has more characters: one beyond the 65,536 first counts once, though it takes two units. */
export function isLonger(text: string, characters: number): boolean {
  // The length in units is never below that in characters.
  if (text.length <= characters) return false;
  return text.length > 2 * characters || [...text].length > characters;
}
