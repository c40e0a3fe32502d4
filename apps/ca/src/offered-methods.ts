// Which methods a path takes, of everything that is registered on an app: for 405 and its Allow (RFC 9110 §15.5.6).
import type { FastifyInstance } from 'fastify';

/** Must be called before the routes are registered. @returns the methods of a path; none: there is no such path */
export function collectMethods(app: FastifyInstance): (path: string) => readonly string[] {
  const offered = new Map<string, { readonly pattern: RegExp; readonly methods: Set<string> }>();
  app.addHook('onRoute', ({ url, method }) => {
    let known = offered.get(url);
    if (known === undefined) {
      known = { pattern: patternOf(url), methods: new Set() };
      offered.set(url, known);
    }
    for (const one of typeof method === 'string' ? [method] : method) known.methods.add(one);
  });
  return (path) => {
    const methods = new Set<string>();
    for (const known of offered.values()) {
      if (known.pattern.test(path)) for (const method of known.methods) methods.add(method);
    }
    return [...methods].toSorted();
  };
}

function patternOf(url: string): RegExp {
  const source = url
    .split(/(:[A-Za-z]+|\*)/)
    .map((part) => {
      if (part === '*') return '.*';
      return part.startsWith(':') ? '[^/]+' : RegExp.escape(part);
    })
    .join('');
  return new RegExp(`^${source}$`, 's');
}
