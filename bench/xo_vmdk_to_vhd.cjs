// node xo_vmdk_to_vhd.cjs FOLDER SOURCE.vmdk TARGET.vhd
// A streamOptimized VMDK becomes a dynamic VHD by Xen Orchestra's package, as its import does it: tables first, then one stream.
// FOLDER is where the measurer installed the package; it is no part of Kensho.
const { createReadStream, createWriteStream, promises: fs } = require('fs')
const { pipeline } = require('stream')
const { promisify } = require('util')
const { join } = require('path')

async function main([folder, source, target]) {
  const { default: convert, readVmdkGrainTable } = require(join(folder, 'node_modules', 'xo-vmdk-to-vhd'))
  const file = await fs.open(source, 'r')
  const { size } = await file.stat()
  const tables = await readVmdkGrainTable(async (start, end) => {
    const first = start < 0 ? size + start : start
    const last = end === undefined || end > size ? size : end < 0 ? size + end : end
    const bytes = Buffer.alloc(last - first)
    await file.read(bytes, 0, bytes.length, first)
    return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)
  })
  await file.close()
  const vhd = await convert(createReadStream(source), tables.grainLogicalAddressList, tables.grainFileOffsetList)
  await promisify(pipeline)(vhd, createWriteStream(target))
}

main(process.argv.slice(2)).catch(error => {
  console.error(error)
  process.exit(1)
})
