/** Who is told of a run's end, as authors name them. */
import * as z from "zod";
import { defineWorkflow } from "../../src/index.ts";

const input = z.object({ callback: z.string().optional(), many: z.array(z.string()) });
const handler = () => 1;

defineWorkflow("one", { handler, notify: "https://example.com" });
defineWorkflow("some", { handler, notify: ["https://example.com", "https://example.org"] });
defineWorkflow("made", { input, handler, notify: ({ callback }) => callback });
defineWorkflow("many", { input, handler, notify: ({ many }) => many });
defineWorkflow("none", { input, handler, notify: () => null });
// @ts-expect-error -- the input has no such field
defineWorkflow("other", { input, handler, notify: ({ nobody }) => nobody });
// @ts-expect-error -- an address is text
defineWorkflow("number", { input, handler, notify: () => 7 });
// @ts-expect-error -- an address is text
defineWorkflow("plain", { handler, notify: 7 });

void defineWorkflow("started", { handler }).start(undefined, { notify: "https://example.com" });
void defineWorkflow("listed", { handler }).start(undefined, { notify: ["https://example.com"] });
