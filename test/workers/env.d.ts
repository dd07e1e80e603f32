/** What `cloudflare:workers` answers inside the `workers` project: wrangler.toml, and vitest.config.ts over it. */
declare namespace Cloudflare {
  interface Env {
    readonly RUNS: DurableObjectNamespace;
    readonly DIRECTORY: DurableObjectNamespace;
    readonly SCHEDULER: DurableObjectNamespace;
    readonly LANES: DurableObjectNamespace;
    readonly AUTH: string;
    readonly API_TOKENS: string;
    readonly SIGNING_SECRET: string;
    readonly PUBLIC_URL: string;
    readonly DIRECTORY_SHARDS: string;
  }

  interface GlobalProps {
    mainModule: typeof import("./worker.ts");
  }
}
