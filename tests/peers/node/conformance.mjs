// Drives the lab with XenAPI's JavaScript client; prints what it saw as one JSON object.
// Environment: LAB_URL, LAB_PASSWORD, LAB_VHD (a VHD file), LAB_SIZE (its disk's bytes),
// LAB_RAW (where the exported disk is written), LAB_BROKEN (a VHD with a wrong checksum).
import { once } from 'node:events'
import { createReadStream, statSync, writeFileSync } from 'node:fs'
import { createClient } from 'xen-api'

const { LAB_URL, LAB_PASSWORD, LAB_VHD, LAB_SIZE, LAB_RAW, LAB_BROKEN } = process.env
const seen = {}

const refused = createClient({ url: LAB_URL, auth: { user: 'root', password: 'wrong' }, allowUnauthorized: true })
seen.wrongPassword = await refused.connect().then(
  () => 'let in',
  error => error.code
)

const xapi = createClient({ url: LAB_URL, auth: { user: 'root', password: LAB_PASSWORD }, allowUnauthorized: true })
await xapi.connect()
await xapi.objectsFetched
seen.pool = xapi.pool.name_label
seen.networks = Object.values(xapi.objects.all)
  .filter(object => object.$type === 'network')
  .map(object => object.name_label)
  .sort()

const [sr] = await xapi.call('SR.get_by_name_label', 'local-sr')
seen.size = await xapi.getField('SR', sr, 'physical_size')

const create = name =>
  xapi.call('VDI.create', {
    name_label: name,
    SR: sr,
    virtual_size: Number(LAB_SIZE),
    type: 'user',
    sharable: false,
    read_only: false,
    other_config: {},
  })

function upload(path, vdi, task) {
  const body = createReadStream(path)
  body.length = statSync(path).size
  return xapi.putResource(body, '/import_raw_vdi/', { query: { format: 'vhd', vdi }, task })
}

const vdi = await create('from javascript')
const imported = await xapi.call('task.create', 'an import', '')
await upload(LAB_VHD, vdi, imported)
seen.imported = await xapi.getField('task', imported, 'status')
seen.utilisation = await xapi.getField('VDI', vdi, 'physical_utilisation')

// Whether the client first sees the cut connection or the task is a race; the task is what counts.
const broken = await create('broken')
const failing = await xapi.call('task.create', 'an import that fails', '')
const failed = xapi.watchTask(failing).then(
  () => 'taken',
  error => [error.code, ...error.params]
)
await upload(LAB_BROKEN, broken, failing).catch(() => {})
seen.broken = await failed

const download = await xapi.getResource('/export_raw_vdi/', { query: { format: 'raw', vdi }, task: true })
// Read without back pressure: undici 6 trips over a body without a length that ends while paused.
const pieces = []
download.body.on('data', piece => pieces.push(piece))
await once(download.body, 'end')
await download.task
writeFileSync(LAB_RAW, Buffer.concat(pieces))
seen.exported = statSync(LAB_RAW).size

// The change is made by a call and seen by the long poll.
const renamed = new Promise(resolve => {
  xapi.objects.on('update', objects => {
    const found = Object.values(objects).find(each => each.$ref === vdi && each.name_label === 'renamed')
    if (found !== undefined) {
      resolve(found)
    }
  })
})
await xapi.call('VDI.set_name_label', vdi, 'renamed')
seen.event = (await renamed).name_label
await xapi.barrier()

seen.unknown = await xapi.call('VM.sing').catch(error => [error.code, ...error.params])
seen.missing = await xapi.call('VDI.create', { SR: sr }).catch(error => error.code)
seen.invalid = await xapi.call('VM.get_record', 'OpaqueRef:none').catch(error => [error.code, ...error.params])

await xapi.disconnect()
process.stdout.write(JSON.stringify(seen) + '\n', () => process.exit(0))
