/** Runs that are held from inside of the Worker and from outside. */
import * as z from "zod";
import { defineWorkflow, NonRetryableError } from "../../../src/index.ts";

/** Values that JSON has not. */
export type Parcel = { readonly due: Date; readonly weights: ReadonlyMap<string, bigint>; readonly seal: Uint8Array };

export const heldParcel = defineWorkflow("held-parcel", {
  signals: { handed: z.object({ to: z.string() }), nudge: z.undefined() },
  handler: async (parcel: Parcel, step) => {
    const notes: string[] = [];
    step.query("notes", () => notes);
    step.query("broken", () => {
      throw new RangeError("nothing to weigh");
    });
    step.update("note", z.object({ text: z.string().min(1) }), ({ text }) => notes.push(text));
    step.update("slip", null, () => {
      throw new RangeError("it slipped", { cause: new Error("wet hands") });
    });
    step.progress({ at: parcel.due });
    const handed = await step.waitFor("handed");
    return { ...parcel, to: handed?.to ?? null, notes };
  },
});

export const heldFailing = defineWorkflow("held-failing", {
  handler: async (_input: undefined, step) => {
    await step.run("weigh", () => {
      throw new NonRetryableError("too heavy", { cause: new TypeError("scales") });
    });
  },
});

export const heldWorkflows = [heldParcel, heldFailing] as const;
