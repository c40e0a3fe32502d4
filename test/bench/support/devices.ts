// Devices that exist before anything is measured, enrolled over the API like any other.
import type { NamedCsr } from './csrs.ts';
import { encodeJson, openConnections, runLoad } from './http-load.ts';
import type { ServedCa } from './issuing-ca.ts';
import { createSharedToken } from './tokens.ts';

export interface EnrolledUnit {
  readonly id: string;
  readonly serial: string;
  readonly certificate: string;
}

/** In no particular order. */
export async function enrollAll(
  service: ServedCa,
  csrs: readonly NamedCsr[],
): Promise<readonly EnrolledUnit[]> {
  const token = await createSharedToken(service, csrs.length);
  const connections = await openConnections(64, service.api);
  const enrolled: EnrolledUnit[] = [];
  await runLoad({
    connections,
    requests: csrs.map(({ id, pem }) => encodeJson('/v1/enroll', { id, csr: pem, token })),
    status: 201,
    onAnswer: ({ body }) => {
      const { device, serial, certificate } = JSON.parse(body.toString('utf8')) as {
        device: { id: string };
        serial: string;
        certificate: string;
      };
      enrolled.push({ id: device.id, serial, certificate });
    },
  });
  for (const connection of connections) connection.close();
  return enrolled;
}
