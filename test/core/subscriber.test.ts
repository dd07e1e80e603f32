/** Which addresses may be told of a run's end: those that anybody on the internet could call, and no others. */
import { describe, expect, test } from "vitest";
import type { HoldfastError } from "../../src/core/error.ts";
import { checkSubscriber, checkSubscribers, parseHosts } from "../../src/core/notice/subscriber.ts";

const longest = 2048;

function refusal(url: unknown, hosts = ""): string {
  try {
    return `taken: ${checkSubscriber(url, parseHosts(hosts))}`;
  } catch (error) {
    const { code, message } = error as HoldfastError;
    return `${code} ${message}`;
  }
}

describe("an address of the public internet", () => {
  test.each([
    ["https://example.com/hook", "https://example.com/hook"],
    ["HTTPS://Example.COM:443/a?b=c", "https://example.com/a?b=c"],
    ["https://example.com:8443/", "https://example.com:8443/"],
    ["https://8.8.8.8/", "https://8.8.8.8/"],
    ["https://[2606:4700:4700::1111]/x", "https://[2606:4700:4700::1111]/x"],
    ["https://bücher.de/", "https://xn--bcher-kva.de/"],
    ["https://local.example.com/", "https://local.example.com/"],
    ["https://mylocalhost.com/", "https://mylocalhost.com/"],
  ])("%s is taken", (url, called) => {
    expect(refusal(url)).toBe(`taken: ${called}`);
  });
});

describe("no other is", () => {
  const privates = [
    ...["127.0.0.1", "127.1", "127.0.1", "0177.0.0.1", "0x7f.0.0.1", "0x7f000001", "2130706433", "017700000001"],
    ...["0", "0.0.0.0", "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.1.1", "0xc0a80101"],
    ...["169.254.169.254", "0xa9fea9fe", "2852039166", "0251.0376.0251.0376", "100.64.0.1", "100.127.255.255"],
    ...["224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.51.100.1", "203.0.113.1"],
    ...["198.18.0.1", "192.0.0.8", "192.88.99.1", "①②⑦.⓪.⓪.①", "127。0。0。1"],
    ...["[::]", "[::1]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::ffff:8.8.8.8]"],
    ...["[::127.0.0.1]", "[::8.8.8.8]", "[64:ff9b::7f00:1]", "[64:ff9b::8.8.8.8]", "[64:ff9b:1::1]", "[fe80::1]"],
    ...["[fc00::1]", "[fd12:3456::1]", "[fec0::1]", "[ff02::1]", "[2001:db8::1]", "[2001::1]", "[2002:7f00:1::]"],
    ...["[2002:c0a8:101::1]", "[100::1]", "[3fff::1]", "[4000::1]", "[2001:10::1]", "[5f00::1]", "[2001:2::1]"],
  ];
  test.each(privates)("https://%s/", (host) => {
    expect(refusal(`https://${host}/`)).toMatch(/^notify_invalid .* is not an address of the public internet$/);
  });

  test.each([
    ["https://localhost/", /single label/],
    ["https://LOCALHOST:8443/", /single label/],
    ["https://api.localhost/", /never public/],
    ["https://printer.local/", /never public/],
    ["https://metadata.google.internal/", /never public/],
    ["https://router.lan/", /never public/],
    ["https://nas.home.arpa/", /never public/],
    ["https://store.private/", /never public/],
    ["https://host.localdomain/", /never public/],
    ["https://in.mail/", /never public/],
    ["https://kubernetes.default.svc/", /never public/],
    ["https://intranet/", /single label/],
    ["https://example.com./", /ends with a dot/],
    ["https://localhost./", /ends with a dot/],
    ["https://127.0.0.1./", /not an address of the public internet/],
    ["http://example.com/", /not https/],
    ["ftp://example.com/", /not https/],
    ["file:///etc/passwd", /not https/],
    ["javascript:alert(1)", /not https/],
    ["https://user@example.com/", /credentials/],
    ["https://user:secret@example.com/", /credentials/],
    ["https://example.com:22/", /port/],
    ["https://example.com:25/", /port/],
    ["https://example.com:80/", /port/],
    ["example.com/hook", /no address/],
    ["//example.com", /no address/],
    ["", /no address/],
    ["https://", /no address/],
    ["https://exa mple.com/", /no address/],
    ["https://1.2.3.4.5.256/", /no address/],
    [`https://example.com/${"x".repeat(longest)}`, /no address/],
    [7, /no address/],
    [null, /no address/],
    [{ href: "https://example.com" }, /no address/],
  ])("%s", (url, why) => {
    expect(refusal(url)).toMatch(/^notify_invalid /);
    expect(refusal(url)).toMatch(why);
  });

  test("and what refuses it never holds the rest of the address, which may be a secret", () => {
    for (const url of ["http://example.com/s3cret", "https://a:s3cret@example.com/s3cret?s3cret#s3cret", "s3cret"]) {
      expect(refusal(url)).toMatch(/^notify_invalid /);
      expect(refusal(url)).not.toContain("s3cret");
    }
  });
});

describe("NOTIFY_HOSTS", () => {
  test("names hosts that may be private, or without TLS; on its port where it has one", () => {
    const hosts = "localhost:8788, 127.0.0.1 ,[::1]:9000,hooks.internal";
    expect(refusal("http://localhost:8788/x", hosts)).toBe("taken: http://localhost:8788/x");
    expect(refusal("http://2130706433:81/", hosts)).toBe("taken: http://127.0.0.1:81/");
    expect(refusal("https://hooks.internal/", hosts)).toBe("taken: https://hooks.internal/");
    expect(refusal("http://[::1]:9000/", hosts)).toBe("taken: http://[::1]:9000/");
    for (const url of ["http://localhost:8789/", "http://[::1]/", "http://a.localhost:8788/", "ftp://127.0.0.1/"]) {
      expect(refusal(url, hosts)).toMatch(/^notify_invalid /);
    }
  });

  test("does not allow credentials either", () => {
    expect(refusal("http://a:b@localhost:8788/", "localhost:8788")).toMatch(/credentials/);
  });

  const malformed = [
    ...["http://localhost", "localhost/path", "a b", "localhost:99999", "user@localhost", ":80", "[::1", "localhost:"],
    ...["*", "*.example.com", "a_b!", "-a.example", "a..b", ".example", "a,*", "$HOST", "a;b", "(a)", "localhost:0"],
    `${"a".repeat(64)}.example`,
    "https://user:s3cret@hooks.example",
  ];
  test.each(malformed)("that is malformed is an error that names it: %s", (hosts) => {
    expect(refusal("https://example.com/", `fine.example,${hosts}`)).toMatch(
      /^config_invalid NOTIFY_HOSTS, item [23]:/,
    );
    expect(refusal("https://example.com/", hosts)).not.toContain("s3cret");
  });

  test("that is empty allows nothing", () => {
    expect(parseHosts(" , ")).toEqual([]);
  });
});

test("an address that is named twice is told once, and there are ten at most", () => {
  const urls = Array.from({ length: 10 }, (_, index) => `https://example.com/${index}`);
  expect(checkSubscribers([...urls, "https://EXAMPLE.com/0"], [])).toEqual(urls);
  expect(() => checkSubscribers([...urls, "https://example.com/10"], [])).toThrow("there may be 10");
});

test("the refusal says which it is", () => {
  expect(() => checkSubscribers(["https://example.com/", "http://10.0.0.1/"], [])).toThrow(
    expect.objectContaining({
      code: "notify_invalid",
      issues: [expect.objectContaining({ path: "/notify/1" })],
    }) as Error,
  );
});
