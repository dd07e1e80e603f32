/** FNV-1a, 32 bits: evenly spread, and the same in every version. Not for secrets. */
export function fnv1a(text: string): number {
  let sum = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    sum = Math.imul(sum ^ text.charCodeAt(index), 0x01000193);
  }
  return sum >>> 0;
}
