/**
 * The fields of a form: a finite tree, each of whose nodes says how a JSON value can be entered. It holds all that is
 * needed to draw the form. `fieldOf` (form) makes it from a JSON Schema.
 */

export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/** `nullable`: null is allowed too. `initial` is the value that the form begins with. */
export type Field = Shape & {
  readonly title?: string;
  readonly description?: string;
  readonly initial?: Json;
  readonly nullable: boolean;
};

export type Shape =
  | ({ readonly kind: "text"; readonly format: TextFormat } & Length & {
        /** A regular expression that the text, or a part of it, has to match. */
        readonly pattern?: string;
      })
  | ({ readonly kind: "number"; readonly whole: boolean } & Bounds)
  | { readonly kind: "flag" }
  | { readonly kind: "choice"; readonly options: readonly Json[] }
  | { readonly kind: "fixed"; readonly value: Json }
  /** `others`: the field of further members, under names of the user's choice; null where there are none. */
  | { readonly kind: "object"; readonly members: readonly Member[]; readonly others: Field | null }
  | { readonly kind: "list"; readonly item: Field; readonly min: number; readonly max: number | null }
  | { readonly kind: "tuple"; readonly items: readonly Field[] }
  | { readonly kind: "variants"; readonly variants: readonly Variant[] }
  /** Any JSON, for schemas that no other kind of field fits. */
  | { readonly kind: "json" };

export type TextFormat = "plain" | "long" | "email" | "uri" | "date" | "date-time" | "time";

/** In characters. */
type Length = { readonly minLength?: number; readonly maxLength?: number };

/** `above` and `below` exclude their number. */
type Bounds = {
  readonly min?: number;
  readonly max?: number;
  readonly above?: number;
  readonly below?: number;
  /** The value is a multiple of it. */
  readonly step?: number;
};

export type Member = { readonly name: string; readonly field: Field; readonly required: boolean };

export type Variant = { readonly label: string; readonly field: Field };

/** A field of any JSON. */
export const anyJson: Field = { kind: "json", nullable: false };

/**
 * What a blank field means: `absent` (no value) or `null`; `refused`: a value has to be given; `chosen`: the user says so by
 * a separate choice beside the field.
 */
export type Blank = "refused" | "absent" | "null" | "chosen";

export function blankOf(field: Field, required: boolean): Blank {
  const isBlankable = ["text", "number", "json", "flag", "choice"].includes(field.kind);
  if (!isBlankable) return required && !field.nullable ? "refused" : "chosen";
  // A flag and a choice offer null as an option, and JSON can be `null` itself.
  if (field.kind === "flag" && typeof field.initial === "boolean" && !field.nullable) return "refused";
  if (field.kind === "flag" || field.kind === "choice" || field.kind === "json") return required ? "refused" : "absent";
  if (required) return field.nullable ? "null" : "refused";
  return field.nullable ? "chosen" : "absent";
}

/** A field that has fields in it. */
export function isComposite({ kind }: Field): boolean {
  return kind === "object" || kind === "list" || kind === "tuple" || kind === "variants";
}

/** The allowed values in a few words: `text`, `whole number, 1 to 9`, `list of text`. */
export function kindOf(field: Field): string {
  const words = wordsOf(field);
  return field.nullable ? `${words}, or null` : words;
}

const formats: Readonly<Record<TextFormat, string>> = {
  plain: "text",
  long: "text",
  email: "email address",
  uri: "address (URL)",
  date: "date",
  "date-time": "date and time",
  time: "time of day",
};

function wordsOf(field: Field): string {
  switch (field.kind) {
    case "text":
      return joined(formats[field.format], lengthOf(field));
    case "number":
      return joined(field.whole ? "whole number" : "number", boundsOf(field));
    case "flag":
      return "true or false";
    case "choice":
      return `one of ${field.options.map((option) => JSON.stringify(option)).join(", ")}`;
    case "fixed":
      return `always ${JSON.stringify(field.value)}`;
    case "object":
      return field.members.length === 0 && field.others !== null ? `names with ${kindOf(field.others)}` : "object";
    case "list":
      return joined(`list of ${kindOf(field.item)}`, countOf(field));
    case "tuple":
      return `list of exactly ${field.items.length}`;
    case "variants":
      return field.variants.map(({ label }) => label).join(" or ");
    case "json":
      return "any JSON";
    default:
      return field satisfies never;
  }
}

function joined(...parts: readonly string[]): string {
  return parts.filter((part) => part !== "").join(", ");
}

function lengthOf({ minLength, maxLength }: Length): string {
  return range(minLength === 0 ? undefined : minLength, maxLength, "characters");
}

function countOf({ min, max }: { readonly min: number; readonly max: number | null }): string {
  return range(min === 0 ? undefined : min, max ?? undefined, "items");
}

function boundsOf({ min, max, above, below, step }: Bounds): string {
  const parts = [range(min, max, "")];
  if (above !== undefined) parts.push(`above ${above}`);
  if (below !== undefined) parts.push(`below ${below}`);
  if (step !== undefined) parts.push(`in steps of ${step}`);
  return joined(...parts);
}

function range(least: number | undefined, most: number | undefined, unit: string): string {
  const last = most ?? least;
  if (last === undefined) return "";
  const first = least === undefined ? "at most " : most === undefined ? "at least " : `${least} to `;
  const noun = unit === "" ? "" : ` ${last === 1 ? unit.replace(/s$/, "") : unit}`;
  return `${least === most ? "exactly " : first}${last}${noun}`;
}
