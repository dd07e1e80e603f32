/** `createWorker`: the one call that turns workflows into a Worker. */
import { env, waitUntil } from "cloudflare:workers";
import type { DurableObject } from "cloudflare:workers";
import { createApp } from "./http/app.ts";
import { parseConfig } from "./http/config.ts";
import { checkBindings } from "./objects/address.ts";
import { createObjects } from "./objects/deployment/assembly.ts";
import { Catalog, definitionsOf } from "./objects/deployment/catalog.ts";
import { findCollector } from "./objects/outbox/collector.ts";
import { checkLog } from "./objects/deployment/logline.ts";
import { checkNotify } from "./objects/builtin/subscribers.ts";
import { checkPlatform } from "./objects/deployment/platform.ts";
import { createService } from "./objects/service.ts";
import { collectWebhooks } from "./objects/webhook/webhook.ts";
import type { Definition } from "./core/definition/definition.ts";
import type { InboundWebhook } from "./objects/webhook/webhook.ts";

export type WorkerOptions = {
  /** The workflows of this deployment; several versions of one may be listed, the newest last. */
  readonly workflows: readonly { readonly definition: Definition }[];
  /** Addresses of this deployment that start runs. */
  readonly webhooks?: readonly InboundWebhook[];
};

/** A class of Durable Objects. */
export type ObjectClass = new (ctx: DurableObjectState, env: Cloudflare.Env) => DurableObject;

export type HoldfastWorker = {
  /** Every class of Durable Objects, by its name in wrangler.toml. */
  readonly objects: Readonly<Record<"RunObject" | "DirectoryObject" | "SchedulerObject" | "LaneObject", ObjectClass>>;
  /** Needs the request only: bindings and what outlives the answer come from the runtime, whoever calls. */
  fetch(request: Request, env?: unknown, ctx?: unknown): Response | Promise<Response>;
  scheduled(): Promise<void>;
};

/**
 * The Worker: export it as default, and each class of `objects` under its own name.
 * @throws HoldfastError options_invalid: something else than workflows, two of one name and version, a bad schedule, two
 * webhooks of one name, or one whose workflow is not listed; config_invalid: the runtime is set to behave as before
 * 2026-10-01
 */
export function createWorker(options: WorkerOptions): HoldfastWorker {
  checkPlatform();
  const catalog = new Catalog(definitionsOf(options));
  const service = createService(catalog, collectWebhooks(options.webhooks, catalog));
  const app = createApp(service, () => {
    checkBindings();
    checkLog();
    findCollector();
    checkNotify();
    return parseConfig(env as unknown as Record<string, unknown>);
  });
  let awake = false;
  return {
    objects: createObjects(catalog),
    fetch(request) {
      // The scheduler's own alarm needs one first call to be armed by.
      if (!awake && catalog.rules.length > 0) {
        awake = true;
        waitUntil(service.schedules.tick().catch(() => void (awake = false)));
      }
      return app.fetch(request, env);
    },
    async scheduled() {
      await service.schedules.tick();
    },
  };
}
