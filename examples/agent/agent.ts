/**
 * An agent: a language model that asks for tools, round after round, until it has an answer.
 *
 * - The model is chosen once and stays the same for the whole run, whatever the settings become.
 * - Dangerous tools wait for a person.
 * - One tool called over and over is cut short, and the agent answers with what it has.
 * - Without credit it waits, at no cost, until a signal says that there is credit again.
 */
import { defineWorkflow, presets } from "holdfast";
import * as z from "zod";
import { languageModel } from "../language.ts";
import { think } from "./thought.ts";
import type { Note } from "./thought.ts";
import { isDangerous, useTool } from "./tool.ts";

export const agent = defineWorkflow("agent", {
  input: z.object({ task: z.string().min(1).max(10_000), credits: z.int().min(0).default(20) }),
  signals: {
    decision: z.object({ approved: z.boolean(), by: z.string() }),
    credit: z.object({ credits: z.int().positive() }),
  },
  limits: { perStep: { search: 5 } },
  handler: async (input, step) => {
    const model = await step.run("pin-model", () => languageModel()?.name ?? null);
    const notes: Note[] = [];
    let { credits } = input;
    step.query("notes", () => notes);

    for (;;) {
      while (credits <= 0) credits += (await step.waitFor("credit")).credits;
      credits--;
      const thought = await step.run("think", ({ signal }) => think(model, input.task, notes, signal), presets.ai);
      if (thought.kind === "answer") return { model, answer: thought.text, tools: notes.length };

      const { tool, argument } = thought;
      if (isDangerous(tool)) {
        step.progress({ asking: `${tool} ${argument}` });
        const { approved, by } = await step.waitFor("decision");
        if (!approved) {
          notes.push({ tool, argument, result: `${by} did not allow it` });
          continue;
        }
      }
      try {
        const result = await step.run(
          tool,
          ({ idempotencyKey }) => useTool(tool, argument, idempotencyKey),
          presets.http,
        );
        notes.push({ tool, argument, result });
      } catch (error) {
        // The cap on calls of one tool; anything else that fails for good fails the run.
        if ((error as { code?: string }).code !== "limit_exceeded") throw error;
        const known = notes.map((note) => note.result).join("; ");
        return {
          model,
          answer: `Cut short after ${notes.length} calls of tools. So far: ${known}`,
          tools: notes.length,
        };
      }
    }
  },
});
