// The manufacturing line: batches, and signing one unit or a stream of them.
import type { BatchView } from '@keyline/api';
import {
  changeQuota,
  closeBatch,
  getBatch,
  openBatch,
  signUnit,
  type Batch,
  type Enrolled,
} from '@keyline/fleet';
import { formatInstant, parseDuration } from '@keyline/kernel';
import { Readable } from 'node:stream';
import type { ListenerBounds } from '../listener-bounds.ts';
import { pageOf } from '../page-of.ts';
import { requireCaller, type ServiceContext } from '../service-context.ts';
import { certificatePem } from '../views.ts';
import { signLines } from './sign-lines.ts';
import type { Register } from './register.ts';

export function registerBatches(
  register: Register,
  service: ServiceContext,
  bounds: ListenerBounds,
): void {
  const { fleet } = service;

  register('createBatch', async ({ body, request }) =>
    viewBatch(
      await openBatch(fleet, {
        caller: requireCaller(request.caller),
        id: body.id,
        type: body.type ?? 'default',
        quota: body.quota,
        idPattern: body.idPattern ?? null,
        stations: body.stations ?? [],
        labels: body.labels ?? {},
        rework: body.rework ?? false,
        lifetime: parseDuration(body.endsIn ?? '30d'),
      }),
    ),
  );

  register('listBatches', async ({ query }) => {
    const page = await fleet.store.listBatches(pageOf(query, service.limits));
    return { items: page.items.map(viewBatch), nextCursor: page.nextCursor };
  });

  register('getBatch', async ({ params }) => viewBatch(await getBatch(fleet, params.id)));

  register('changeQuota', async ({ params, body, request }) =>
    viewBatch(
      await changeQuota(fleet, {
        caller: requireCaller(request.caller),
        id: params.id,
        quota: body.quota,
      }),
    ),
  );

  register('closeBatch', async ({ params, request }) =>
    viewBatch(await closeBatch(fleet, { caller: requireCaller(request.caller), id: params.id })),
  );

  register('signBatch', async ({ params, body, request, reply, stillAllowed }) => {
    const caller = requireCaller(request.caller);
    const batch = await getBatch(fleet, params.id);
    if (request.body instanceof Readable) {
      bounds.takeStream({ request, reply, caller: caller.name });
      const lines = signLines(request.body, {
        lineBytes: service.limits.lineBytes,
        window: service.limits.bulkWindow,
        sign: async (unit) => {
          await stillAllowed();
          service.reserve.assertRoom();
          return viewSigned(await signUnit(fleet, { caller, batch, ...unit }));
        },
      });
      return reply
        .status(200)
        .header('content-type', 'application/x-ndjson')
        .send(Readable.from(lines, { objectMode: false }));
    }
    const signed = await signUnit(fleet, { caller, batch, id: body.id, csr: body.csr });
    void reply.status(signed.created ? 201 : 200);
    return {
      ...viewSigned(signed),
      chain: [service.authorities.get(signed.certificate.authority).pem],
    };
  });
}

function viewSigned({ device, certificate, created }: Enrolled) {
  return {
    id: device.id,
    status: created ? 201 : 200,
    serial: certificate.serial,
    notAfter: formatInstant(certificate.notAfter),
    certificate: certificatePem(certificate.der),
  };
}

function viewBatch(batch: Batch): BatchView {
  return {
    id: batch.id,
    type: batch.type,
    quota: batch.quota,
    issued: batch.issued,
    idPattern: batch.idPattern,
    stations: [...batch.stations],
    labels: { ...batch.labels },
    rework: batch.rework,
    state: batch.state,
    endsAt: formatInstant(batch.endsAt),
    createdAt: formatInstant(batch.createdAt),
    createdBy: batch.createdBy,
  };
}
