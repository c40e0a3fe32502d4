// `keyline service show`: a device of that name is none.
import type { ClientOptions } from '../command-line/client-options.ts';
import type { CliContext } from '../context.ts';
import { showDevice } from '../device/show-device.ts';
import { openClient } from '../find-service.ts';

/** @throws {KeylineError} DEVICE_NOT_FOUND */
export async function assertService(
  context: CliContext,
  name: string,
  options: ClientOptions,
): Promise<void> {
  const client = await openClient(context, options);
  try {
    await client.call('getService', { params: { id: name } });
  } finally {
    client.close();
  }
}

export async function showService(
  context: CliContext,
  name: string,
  options: ClientOptions,
): Promise<void> {
  await assertService(context, name, options);
  await showDevice(context, name, options);
}
