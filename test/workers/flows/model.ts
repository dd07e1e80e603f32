/** The workflow that performs the programs of the model. */
import { defineWorkflow } from "../../../src/index.ts";
import { episodeOf } from "../../model/episode.ts";
import type { Input } from "../../model/program.ts";
import { performWith, workflow } from "../../model/workflow.ts";
import type { Effect } from "../../model/workflow.ts";
import { watched } from "../crashpoint.ts";

/** What the steps did, kept outside the runs. */
export const modelled: Effect[] = [];

export const modelWorkflows = [
  defineWorkflow(workflow, {
    handler: async (input: Input, step) =>
      await performWith(step, input, async (effect) => {
        modelled.push(effect);
        const episode = episodeOf(watched(effect.run).entries);
        await scheduler.wait(effect.ms);
        return episode;
      }),
  }),
];
