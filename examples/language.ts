/** A language model as a port: any endpoint that speaks OpenAI's chat completions and answers with one JSON object. */
import * as z from "zod";
import { refuse } from "./mail.ts";
import { settings } from "./settings.ts";

export type Model = { readonly url: string; readonly key: string | undefined; readonly name: string };

/** The model of this deployment; null where none is configured. */
export function languageModel(): Model | null {
  const { LLM_URL, LLM_KEY, LLM_MODEL } = settings();
  if (!LLM_URL) return null;
  const base = LLM_URL.replace(/\/+$/, "");
  const url = base.endsWith("/chat/completions") ? base : `${base}/chat/completions`;
  return { url, key: LLM_KEY, name: LLM_MODEL ?? "default" };
}

const completion = z.object({ choices: z.array(z.object({ message: z.object({ content: z.string() }) })).min(1) });

/**
 * The JSON object that the model answers with, not yet checked.
 * @throws what a retry policy is for: a model that is slow, busy, down or talks nonsense
 */
export async function askModel(
  model: Model,
  instructions: string,
  subject: unknown,
  signal: AbortSignal,
): Promise<unknown> {
  const headers = new Headers({ "Content-Type": "application/json" });
  if (model.key) headers.set("Authorization", `Bearer ${model.key}`);
  const messages = [
    { role: "system", content: instructions },
    { role: "user", content: JSON.stringify(subject) },
  ];
  const body = JSON.stringify({ model: model.name, temperature: 0, messages });
  const response = await fetch(model.url, { method: "POST", headers, body, signal });
  refuse(response, "the language model");
  const content = completion.parse(await response.json()).choices[0]?.message.content ?? "";
  // Some models wrap the object in a sentence or a code fence; what is between the outer braces counts.
  return JSON.parse(content.slice(content.indexOf("{"), content.lastIndexOf("}") + 1)) as unknown;
}
