// LoRA steps by QVAC on the processor: the other side of `bench tune`.
// usage: bare qvac_lora.js FILE.gguf TEXT.txt THREADS      (npm: `bare` and `@qvac/llm-llamacpp`)
const Llm = require('@qvac/llm-llamacpp')
const [model, text, threads] = Bare.argv.slice(2)

async function main () {
  const config = { device: 'cpu', gpu_layers: '0', ctx_size: '512', threads }
  const llm = new Llm({ files: { model: [model] }, config, logger: null, opts: { stats: true } })
  await llm.load()
  const start = Date.now()
  const run = await llm.finetune({
    trainDatasetDir: text,
    validation: { type: 'none' },
    outputParametersDir: './out',
    checkpointSaveDir: './checkpoints',
    numberOfEpochs: 1,
    learningRate: 1e-4,
    // Falling to nothing is refused where there are few steps.
    lrMin: 1e-5,
    contextLength: 128,
    batchSize: 128,
    microBatchSize: 128,
    loraRank: 8,
    loraAlpha: 16
  })
  let batches = 0
  run.on('stats', stats => { batches = Math.max(batches, stats.current_batch || 0, stats.total_batches || 0) })
  const result = await run.await()
  const secs = (Date.now() - start) / 1000
  console.log(JSON.stringify(result))
  await llm.unload()
  console.log(JSON.stringify({ batches, secs }))
}

main().catch(error => { console.error(error); Bare.exit(1) })
