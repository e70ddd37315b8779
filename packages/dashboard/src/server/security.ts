/** Who may ask: this machine by default, elsewhere only with the token; never a page of another origin, nor one that gave itself our address. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { Context, MiddlewareHandler } from 'hono';
import { getCookie, setCookie } from 'hono/cookie';

/** How requests are judged. */
export interface SecurityOptions {
  /** Null where everybody on this machine may look. */
  readonly token: string | null;
  /** Names and addresses under which the server may be addressed, without port; null for any, which needs a token. */
  readonly hosts: ReadonlySet<string> | null;
}

const COOKIE = 'cohort-dashboard';

/**
 * No script but our own, no connection but to this server, no frame around the page. WebAssembly and workers are for the
 * networks of "Try it", blob: is for their models and for pictures that are dropped.
 */
const POLICY = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "style-src 'self'",
  "img-src 'self' data: blob:",
  "media-src 'self' blob:",
  "connect-src 'self' blob:",
  "worker-src 'self' blob:",
  "font-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-src 'self'",
];

/** Headers of pages of exported networks, which the page shows in a frame. */
export const FRAMED_HEADERS: Readonly<Record<string, string>> = {
  'Content-Security-Policy': [...POLICY, "frame-ancestors 'self'"].join('; '),
  'X-Frame-Options': 'SAMEORIGIN',
};

const HEADERS: Readonly<Record<string, string>> = {
  'Content-Security-Policy': [...POLICY, "frame-ancestors 'none'"].join('; '),
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Permissions-Policy': 'camera=(self), microphone=(), geolocation=()',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
};

/** Headers of every answer, refused ones included; those that an answer has already stay. */
export function secureHeaders(): MiddlewareHandler {
  return async (context, next) => {
    await next();
    for (const [name, value] of Object.entries(HEADERS)) {
      if (!context.res.headers.has(name)) context.res.headers.set(name, value);
    }
  };
}

/** Checks Host, Origin and token, in this order. */
export function guard({ token, hosts }: SecurityOptions): MiddlewareHandler {
  return async (context, next) => {
    const host = context.req.header('host') ?? '';
    if (hosts !== null && !hosts.has(hostName(host))) {
      return refuse(
        context,
        `The dashboard does not answer to the name ${hostName(host)}. Open the address that it printed.`,
      );
    }
    if (!isSameOrigin(context, host)) {
      return refuse(
        context,
        'The dashboard does not answer pages of other origins. Open the address that it printed.',
      );
    }
    if (token !== null) {
      const given = context.req.query('token');
      if (given !== undefined && context.req.method === 'GET' && isEqual(given, token)) {
        // Out of the address at once: it would be in the history and in bookmarks.
        setCookie(context, COOKIE, token, { httpOnly: true, sameSite: 'Strict', path: '/' });
        return context.redirect('/', 303);
      }
      const presented = bearer(context) ?? getCookie(context, COOKIE) ?? '';
      if (!isEqual(presented, token)) {
        return context.json(
          { error: 'A token is needed. Open the address with ?token= that the dashboard printed.' },
          401,
        );
      }
    }
    await next();
    return undefined;
  };
}

function refuse(context: Context, error: string): Response {
  return context.json({ error }, 403);
}

/** The name in a Host header, without port, in lower case. */
export function hostName(host: string): string {
  return host.replace(/:\d+$/, '').toLowerCase();
}

/** Browsers send Origin with everything that may change something, and Sec-Fetch-Site with all requests. */
function isSameOrigin(context: Context, host: string): boolean {
  const origin = context.req.header('origin');
  if (origin !== undefined && origin !== `http://${host}` && origin !== `https://${host}`) return false;
  const site = context.req.header('sec-fetch-site');
  if (site === undefined || site === 'same-origin' || site === 'none') return true;
  // A link on another page may lead here, but nothing else of it may.
  return context.req.method === 'GET' && context.req.header('sec-fetch-mode') === 'navigate';
}

function bearer(context: Context): string | undefined {
  return /^Bearer (.+)$/.exec(context.req.header('authorization') ?? '')?.[1];
}

/** In a time that says nothing about where they differ, nor how long the token is. */
function isEqual(given: string, expected: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(expected));
}
