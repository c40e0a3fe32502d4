// `keyline service revoke|suspend|resume|decommission`: the way of devices, for services alone.
import type { CliContext } from '../context.ts';
import { changeDevice, type ChangeOptions, type DeviceChange } from '../device/change-device.ts';
import { assertService } from './show-service.ts';

export async function changeService(
  context: CliContext,
  given: { readonly change: DeviceChange; readonly name: string; readonly options: ChangeOptions },
): Promise<number> {
  const { change, name, options } = given;
  await assertService(context, name, options);
  return changeDevice(context, { change, id: name, options });
}
