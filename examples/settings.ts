/** What the example Worker reads from its environment. Every one of them may be left out. */
import { env } from "cloudflare:workers";
import type { OutboxObject } from "./outbox.ts";

type Settings = {
  /** Holdfast's own: "none" on the laptop. */
  readonly AUTH?: string;
  /** Where mail is posted, and the token that allows it. Without them mail goes to the development outbox. */
  readonly MAIL_URL?: string;
  readonly MAIL_TOKEN?: string;
  /** An OpenAI-compatible endpoint, such as https://api.openai.com/v1. Without it documents are assessed by rules. */
  readonly LLM_URL?: string;
  readonly LLM_KEY?: string;
  readonly LLM_MODEL?: string;
  readonly OUTBOX?: DurableObjectNamespace<OutboxObject>;
};

/** Read at each use, inside a step, so that a changed secret reaches runs that are under way. */
export function settings(): Settings {
  return env;
}

/** True on the laptop only: `npm start` passes AUTH=none, a deployment never does. */
export function isDevelopment(): boolean {
  return settings().AUTH === "none";
}
