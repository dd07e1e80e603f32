/** The example Worker: the workflows of this folder and the Holdfast API in front of them; on a laptop, the outbox too. */
import { createWorker } from "holdfast";
import { agent } from "./agent/agent.ts";
import { approval } from "./approval.ts";
import { documentIntake } from "./documents/intake.ts";
import { drip } from "./drip.ts";
import { order } from "./orders.ts";
import { outbox } from "./outbox.ts";
import { announcePush, pushWebhook } from "./pushes.ts";
import { dailyReport } from "./report.ts";
import { resizeImages } from "./resize.ts";
import { hasOutbox, settings } from "./settings.ts";
import { syncLater, syncNow } from "./sync.ts";

const development = hasOutbox() ? [outbox] : [];
const patterns = [approval, drip, resizeImages, agent, syncNow, syncLater, announcePush];
const { GITHUB_SECRET } = settings();
const worker = createWorker({
  workflows: [documentIntake, order, dailyReport, ...patterns, ...development],
  webhooks: GITHUB_SECRET ? [pushWebhook(GITHUB_SECRET)] : [],
});

export default worker;
export const { RunObject, DirectoryObject, SchedulerObject, LaneObject } = worker.objects;
