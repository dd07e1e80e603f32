/** The fields of entries: what one holds, it holds in all kinds that have it. */
import type { Entry } from "./entry.ts";
import type { Stored } from "../value/value.ts";

type FieldOf<Each> = Each extends Each ? keyof Each : never;
type HeldBy<Each, Name> = Each extends Each ? (Name extends keyof Each ? Each[Name] : never) : never;

/** The name of any field of any kind. */
export type Field = FieldOf<Entry>;

/** The name of one that holds a stored value. */
export type ValueField = { [Name in Field]: Extract<HeldBy<Entry, Name>, Stored> extends never ? never : Name }[Field];

const values: Readonly<Record<ValueField, true>> = {
  ...{ input: true, sent: true, output: true, result: true, payload: true, argument: true, request: true },
  ...{ data: true, value: true },
};

/** Whether a field of this name holds a stored value. */
export function isValueField(name: string): boolean {
  return Object.hasOwn(values, name);
}
