// The API's own description: what /openapi.json says is whole and true, and /docs is a page that works.
import { routes } from '@keyline/api';
import { describe, expect, it } from 'vitest';
import { expectStatus } from '../support/answers.ts';
import { useKeyline } from '../support/use-keyline.ts';

const suite = useKeyline();

interface Operation {
  readonly operationId: string;
  readonly summary?: string;
  readonly responses: Readonly<Record<string, { readonly description?: string }>>;
  readonly security?: readonly Readonly<Record<string, unknown>>[];
  readonly parameters?: readonly { readonly name: string; readonly in: string }[];
  readonly requestBody?: {
    readonly content: Readonly<Record<string, { readonly schema?: unknown }>>;
  };
}

async function loadDocument() {
  const answer = expectStatus(await suite.fleet.anyone.get('/openapi.json'), 200);
  return answer.body as {
    openapi: string;
    info: { title: string; version: string };
    paths: Record<string, Record<string, Operation>>;
    components: { securitySchemes: Record<string, unknown> };
  };
}

describe('/openapi.json', () => {
  it('is OpenAPI 3.1 and has every route of the contract, once', async () => {
    const { openapi, info, paths } = await loadDocument();
    expect(openapi).toMatch(/^3\.1\./);
    expect(info).toMatchObject({ title: 'Keyline', version: expect.any(String) as string });
    const described = Object.entries(paths).flatMap(([path, item]) =>
      Object.entries(item).map(([method, { operationId }]) => `${operationId} ${method} ${path}`),
    );
    const contract = Object.entries(routes).map(
      ([name, { method, url }]) =>
        `${name} ${method.toLowerCase()} ${url.replaceAll(/:(\w+)/g, '{$1}')}`,
    );
    expect(described.toSorted()).toEqual(contract.toSorted());
    const ids = described.map((line) => line.split(' ')[0]);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('declares the parameters of each path, answers for each operation, and security schemes that exist', async () => {
    const { paths, components } = await loadDocument();
    for (const [path, item] of Object.entries(paths)) {
      for (const [method, operation] of Object.entries(item)) {
        const where = `${method} ${path}`;
        const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
        const declared = (operation.parameters ?? [])
          .filter((parameter) => parameter.in === 'path')
          .map(({ name }) => name);
        expect(declared, where).toEqual(inPath);
        expect(Object.keys(operation.responses).length, where).toBeGreaterThan(0);
        // OpenAPI 3.1 §4.8.17: description is REQUIRED.
        for (const response of Object.values(operation.responses)) {
          expect(typeof response.description, where).toBe('string');
        }
        for (const scheme of (operation.security ?? []).flatMap((each) => Object.keys(each))) {
          expect(Object.keys(components.securitySchemes), where).toContain(scheme);
        }
      }
    }
  });

  it('says every schema where it is used: it has no reference, and so none that leads nowhere', async () => {
    const document = await loadDocument();
    const text = JSON.stringify(document);
    expect([...text.matchAll(/"\$(?:ref|dynamicRef|id|anchor)":"([^"]+)"/g)]).toEqual([]);
    // A body that must be sent is described, whatever its media type.
    for (const route of Object.values(routes)) {
      if (!('body' in route)) continue;
      const path = route.url.replaceAll(/:(\w+)/g, '{$1}');
      const { requestBody } = document.paths[path]?.[route.method.toLowerCase()] ?? {};
      expect(Object.keys(requestBody?.content ?? {}), path).toEqual([...route.takes]);
      const schema = requestBody?.content['application/json']?.schema;
      expect(schema, path).toMatchObject({ type: 'object', properties: expect.any(Object) });
    }
  });
});

describe('/docs', () => {
  it('is a page whose scripts and styles are all there', async () => {
    const { anyone } = suite.fleet;
    let page = await anyone.get('/docs');
    if (page.status >= 300)
      page = await anyone.get(new URL(String(page.headers['location']), 'https://x/docs').pathname);
    expectStatus(page, 200);
    expect(page.headers['content-type']).toContain('text/html');
    const assets = [...page.text.matchAll(/(?:src|href)="([^"#]+\.(?:js|css))"/g)];
    expect(assets.length).toBeGreaterThan(0);
    for (const [, asset = ''] of assets) {
      const path = new URL(asset, 'https://x/docs/').pathname;
      const answer = expectStatus(await anyone.get(path), 200);
      expect(answer.text.length, path).toBeGreaterThan(100);
    }
  });
});

describe('health and metrics', () => {
  it('answer to whoever watches the service', async () => {
    const { fleet } = suite;
    for (const path of ['/healthz', '/readyz']) {
      expect(expectStatus(await fleet.anyone.get(path), 200).body).toMatchObject({ status: 'ok' });
    }
    const { text } = expectStatus(await fleet.admin.get('/metrics'), 200);
    expect(text).toMatch(/^# TYPE keyline_/m);
  });
});
