/// Tasks that are their owner's alone, by PocketBase's rules, with the fields and indexes of the other peers.
migrate((app) => {
  const users = app.findCollectionByNameOrId("users")
  users.authToken.secret = $os.getenv("JWT_SECRET") // with which the benchmark signs its users' tokens
  app.save(users)

  const own = "owner = @request.auth.id"
  app.save(new Collection({
    type: "base",
    name: "tasks",
    listRule: own,
    viewRule: own,
    createRule: "@request.body.owner = @request.auth.id",
    updateRule: own,
    deleteRule: own,
    fields: [
      { type: "relation", name: "owner", collectionId: users.id, required: true, maxSelect: 1, cascadeDelete: true },
      { type: "text", name: "title", required: true, max: 200 },
      { type: "text", name: "description", max: 10000 },
      { type: "select", name: "status", values: ["todo", "in_progress", "done"], maxSelect: 1 },
      { type: "autodate", name: "created", onCreate: true },
      { type: "autodate", name: "updated", onCreate: true, onUpdate: true },
    ],
    indexes: [
      "CREATE INDEX tasks_owner ON tasks (owner, created)",
      "CREATE INDEX tasks_owner_status ON tasks (owner, status, created)",
    ],
  }))

  // Without one, `serve` opens a browser to make it.
  const root = new Record(app.findCollectionByNameOrId("_superusers"))
  root.setEmail("root@example.com")
  root.setPassword($security.randomString(30))
  app.save(root)
})
