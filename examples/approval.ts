/**
 * An approval with reminders and escalation: the approver is reminded, then their manager is asked too, and the first
 * answer decides. A query tells the stage at any time, and an update changes the approver while the run waits.
 */
import { defineWorkflow } from "holdfast";
import * as z from "zod";
import { mail } from "./mail.ts";

const approvalInput = z.object({
  what: z.string().min(1).max(200),
  approver: z.email(),
  manager: z.email(),
  remindAfter: z.string().default("1 day"),
  escalateAfter: z.string().default("3 days"),
  expireAfter: z.string().default("7 days"),
});

export const approval = defineWorkflow("ask-approval", {
  input: approvalInput,
  signals: { decision: z.object({ approved: z.boolean(), by: z.email(), note: z.string().default("") }) },
  labels: (input) => ({ approver: input.approver }),
  handler: async (input, step) => {
    let approver = input.approver;
    let stage = "asked";
    step.query("stage", () => ({ stage, approver }));
    step.update("delegate", z.object({ to: z.email() }), async ({ to }) => {
      approver = to;
      await step.run("ask-delegate", (context) => mail().send(letter(to, `Please decide: ${input.what}`), context));
      return { approver };
    });

    await step.run("ask", (context) => mail().send(letter(approver, `Please decide: ${input.what}`), context));
    const first = await step.waitFor("decision", { timeout: input.remindAfter });
    if (first !== null) return first;

    stage = "reminded";
    await step.run("remind", (context) => mail().send(letter(approver, `Reminder: ${input.what}`), context));
    const second = await step.waitFor("decision", { timeout: input.escalateAfter });
    if (second !== null) return second;

    stage = "escalated";
    await step.run("escalate", (context) => mail().send(letter(input.manager, `Escalated: ${input.what}`), context));
    const last = await step.waitFor("decision", { timeout: input.expireAfter });
    return last ?? step.bail(`nobody decided about ${input.what}`);
  },
});

function letter(to: string, subject: string) {
  return { to, subject, text: `${subject}. Answer with the signal "decision".` };
}
