/** Where within a value something is, for messages. */

/** A place on the way to a value: a key, an index, or a phrase for what has neither. */
export type Place = string | number | { readonly phrase: string };

export const insideMap: Place = { phrase: " (a value of a map)" };
export const insideMapKey: Place = { phrase: " (a key of a map)" };
export const insideError: Place = { phrase: "" };
export const insideSet: Place = { phrase: " (a member of a set)" };

const identifier = /^[A-Za-z_$][\w$]*$/;

/** `.items[2].fn`; `it` for the whole value. */
export function describePath(path: readonly Place[]): string {
  const places = path.map((place) => {
    if (typeof place === "number") return `[${place}]`;
    if (typeof place === "object") return place.phrase;
    return identifier.test(place) ? `.${place}` : `[${JSON.stringify(place)}]`;
  });
  if (places.length === 0) return "it";
  return places.length > 20 ? `${places.slice(0, 10).join("")}…` : places.join("");
}
