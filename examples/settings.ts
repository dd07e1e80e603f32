/** What the example Worker reads from its environment; all of it is optional. */
import { env } from "cloudflare:workers";

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
  /** What GitHub signs its calls of /webhooks/pushes with. Without it there is no such address. */
  readonly GITHUB_SECRET?: string;
};

/** Read at each use, inside a step, so that a changed secret reaches runs that are under way. */
export function settings(): Settings {
  return env;
}

/**
 * True where mail goes to the development outbox: on the laptop only, because `npm start` passes
 * AUTH=none and a deployment never does, and only where no mail service is configured.
 */
export function hasOutbox(): boolean {
  const { AUTH, MAIL_URL } = settings();
  return AUTH === "none" && !MAIL_URL;
}
