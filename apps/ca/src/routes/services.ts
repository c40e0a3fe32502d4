// Services: made and found; what becomes of them later goes the way of devices.
import { createService } from '@keyline/fleet';
import { assertSelf, createIdentityAnswers, getIdentity } from '../identity-answers.ts';
import { requireCaller, type ServiceContext } from '../service-context.ts';
import { validityOf } from '../validity-of.ts';
import type { Register } from './register.ts';

export function registerServices(register: Register, service: ServiceContext): void {
  const { fleet } = service;
  const answers = createIdentityAnswers(service);

  register('createService', async ({ body, request, reply }) => {
    service.brokers.assertKnown(body.broker);
    const created = await createService(fleet, {
      caller: requireCaller(request.caller),
      name: body.name,
      role: body.role,
      labels: body.labels ?? {},
      csr: body.csr,
      validity: validityOf(body.validity),
    });
    return answers.enrolled(created, request, reply, body.broker);
  });

  register('listServices', ({ query }) => answers.page(query, 'service'));

  register('getService', async ({ params, request }) => {
    assertSelf(requireCaller(request.caller), params.id);
    return answers.one(await getIdentity(fleet, params.id, 'service'));
  });
}
