// A bot on discord.js: what it finds amiss is a fault of the stand-in.
// Run by test_standin_second_client.py in a folder with node_modules: node client.js API TOKEN
// Answers /draw with a deferral and a picture, its first button with a text, its second with a form that it reads.
"use strict";
const {
  ActionRowBuilder, AttachmentBuilder, ButtonBuilder, ButtonStyle, Client, Events, GatewayIntentBits, MessageFlags,
  ModalBuilder, SlashCommandBuilder, TextInputBuilder, TextInputStyle,
} = require("discord.js");

const [api, token] = process.argv.slice(2);
// One red pixel.
const PNG = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC", "base64");

const bot = new Client({ intents: [GatewayIntentBits.Guilds], rest: { api, version: "10" } });

bot.once(Events.ClientReady, async () => {
  const command = new SlashCommandBuilder().setName("draw").setDescription("Draws a picture.");
  await bot.application.commands.set([command]);
  console.log("ready");
});

bot.on(Events.InteractionCreate, async (interaction) => {
  if (interaction.isChatInputCommand()) {
    await interaction.deferReply();
    const row = new ActionRowBuilder().addComponents(
      new ButtonBuilder().setCustomId("again").setLabel("Again").setStyle(ButtonStyle.Primary),
      new ButtonBuilder().setCustomId("form").setLabel("Form").setStyle(ButtonStyle.Secondary));
    const file = new AttachmentBuilder(PNG, { name: "one.png", description: "a red pixel" });
    const message = await interaction.editReply({ content: "drawn", files: [file], components: [row] });
    if (message.attachments.first().name !== "one.png") throw new Error("the attachment is not there");
    console.log("drawn");
  } else if (interaction.isButton() && interaction.customId === "again") {
    await interaction.reply({ content: "pressed", flags: MessageFlags.Ephemeral });
    console.log("pressed");
  } else if (interaction.isButton()) {
    const input = new TextInputBuilder().setCustomId("words").setLabel("Words").setStyle(TextInputStyle.Short);
    await interaction.showModal(new ModalBuilder().setCustomId("form").setTitle("Form")
      .addComponents(new ActionRowBuilder().addComponents(input)));
  } else if (interaction.isModalSubmit()) {
    await interaction.reply({ content: interaction.fields.getTextInputValue("words"), flags: MessageFlags.Ephemeral });
    console.log("read");
  }
});

bot.login(token);
