/** What a difference between the model and a run looks like to a person. */
import type { Observation } from "./comparison.ts";
import { Disagreement } from "./disagreement.ts";
import type { Program } from "./program.ts";

/** @throws the program, what happened to it, its history and the first difference; or whatever else went wrong */
export function explain(error: unknown, program: Program, { history, effects }: Observation): never {
  if (!(error instanceof Disagreement)) throw error;
  const { seed, input } = program;
  const lines = [
    `seed ${seed} disagrees: MODEL_SEED=${seed} MODEL_COUNT=1 tries it alone`,
    `the program: ${JSON.stringify(input)}`,
    ...program.history.map((happening) => `happens: ${JSON.stringify(happening)}`),
    ...history.map((entry) =>
      JSON.stringify(entry, (name, value: unknown) => (name === "stack" || name === "text" ? undefined : value)),
    ),
    `effects: ${JSON.stringify(effects.map(({ path, attempt, key }) => [path, attempt, key]))}`,
    error.message,
  ];
  throw new Error(lines.join("\n"), { cause: error });
}
