import { batterySchema } from '../schema/battery.ts'
import { shelf } from '../shelf.ts'

const batteries = shelf('batteries', 'battery', batterySchema)

export const batteryIds = batteries.names
export const readBattery = batteries.read
