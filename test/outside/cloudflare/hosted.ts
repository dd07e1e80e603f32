import { env, WorkflowEntrypoint } from "cloudflare:workers";
import { NonRetryableError } from "cloudflare:workflows";
import { answer, defineMain } from "./programs.ts";
import type { Params } from "./programs.ts";

export class Main extends defineMain({ WorkflowEntrypoint, NonRetryableError }) {}

export default {
  fetch: (request: Request) => answer(request, (env as unknown as { MAIN: Workflow<Params> }).MAIN),
};
