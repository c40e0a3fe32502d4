// Enrollment tokens, made by the admin over the API before anything is measured.
import { encodeJson, openConnections, runLoad } from './http-load.ts';
import type { ServedCa } from './issuing-ca.ts';

/** Secrets of `count` single-use tokens. */
export async function createTokens(service: ServedCa, count: number): Promise<readonly string[]> {
  const { api, adminProof, trust } = service;
  const connections = await openConnections(32, { ...api, tls: { ca: trust, ...adminProof } });
  const secrets: string[] = [];
  const request = encodeJson('/v1/tokens', {});
  let left = count;
  await runLoad({
    connections,
    requests: () => (left-- > 0 ? request : undefined),
    status: 201,
    onAnswer: ({ body }) => {
      secrets.push((JSON.parse(body.toString('utf8')) as { secret: string }).secret);
    },
  });
  for (const connection of connections) connection.close();
  return secrets;
}

/** Secret of one token that is good for `maxUses` devices. */
export async function createSharedToken(service: ServedCa, maxUses: number): Promise<string> {
  const { status, body } = await service.admin.post('/v1/tokens', { maxUses });
  if (status !== 201) throw new Error(`no token: ${JSON.stringify(body)}`);
  return body.secret as string;
}
