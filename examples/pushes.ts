/**
 * A GitHub webhook that starts runs: each push to the main branch is announced by mail, once, however often GitHub
 * delivers it. In the repository's settings, add a webhook of content type application/json to
 * `https://<your Worker>/webhooks/pushes`, with the secret that is GITHUB_SECRET here.
 */
import { defineWebhook, defineWorkflow, verify } from "holdfast";
import type { Delivery } from "holdfast";
import * as z from "zod";
import { mail } from "./mail.ts";

/** What is made of GitHub's `push` event: https://docs.github.com/webhooks/webhook-events-and-payloads#push */
const pushEvent = z.object({
  ref: z.string(),
  repository: z.object({ full_name: z.string(), default_branch: z.string() }),
  pusher: z.object({ name: z.string() }),
  commits: z.array(z.object({ id: z.string(), message: z.string(), author: z.object({ name: z.string() }) })),
});

export const announcePush = defineWorkflow("announce-push", {
  input: pushEvent,
  labels: ({ repository }) => ({ repository: repository.full_name }),
  handler: async ({ repository, pusher, commits }, step) => {
    const lines = commits.map(({ id, message, author }) => {
      return `${id.slice(0, 7)} ${message.split("\n")[0]} (${author.name})`;
    });
    const subject = `${pusher.name} pushed ${commits.length} to ${repository.full_name}`;
    await step.run("mail-team", (context) =>
      mail().send({ to: "team@example.com", subject, text: lines.join("\n") }, context),
    );
    return { commits: commits.length };
  },
});

/** Several secrets while one takes the place of another. */
export function pushWebhook(secret: string | readonly string[]) {
  return defineWebhook("pushes", {
    verify: verify.github(secret),
    workflow: announcePush,
    input: (call) => (isWorthTelling(call) ? (call.body as z.input<typeof pushEvent>) : null),
  });
}

/** A `ping`, another event or another branch is accepted, and nothing is started. */
function isWorthTelling({ headers, body }: Delivery): boolean {
  if (headers["x-github-event"] !== "push") return false;
  const push = pushEvent.safeParse(body);
  // Anything else that is no push is refused by the workflow's schema.
  return !push.success || push.data.ref === `refs/heads/${push.data.repository.default_branch}`;
}
