/** The path to something within a value, for messages. */

/** One part of a path: a key, an index, or a phrase for a place that has neither. */
export type Segment = string | number | { readonly phrase: string };

export const insideMap: Segment = { phrase: " (a value of a map)" };
export const insideMapKey: Segment = { phrase: " (a key of a map)" };
export const insideError: Segment = { phrase: "" };
export const insideSet: Segment = { phrase: " (a member of a set)" };

const identifier = /^[A-Za-z_$][\w$]*$/;

/** `.items[2].fn`; `it` for the whole value. */
export function describePath(path: readonly Segment[]): string {
  const places = path.map((place) => {
    if (typeof place === "number") return `[${place}]`;
    if (typeof place === "object") return place.phrase;
    return identifier.test(place) ? `.${place}` : `[${JSON.stringify(place)}]`;
  });
  if (places.length === 0) return "it";
  return places.length > 20 ? `${places.slice(0, 10).join("")}…` : places.join("");
}
